// One entry: all that is known of it, with ways to the one before and after it in the list.
const Entry = (() => {
  const { make, number, pill, copyButton, time, quoted } = Parts;
  const { value } = Entries;
  const dialog = document.getElementById("entry"), facts = document.getElementById("facts"), which = document.getElementById("which");
  const before = document.getElementById("before"), after = document.getElementById("after");
  const WHOLE = { key: "Key", job_id: "Job", object_level_compare_task_id: "Object-level comparison", data_level_compare_task_id: "Data-level comparison", request_id: "Request id", project_id: "Project", endpoint: "Endpoint" };

  const command = (name, row) => {
    const file = Entries.files[value(row, "wave")];
    return `batcher ${name} ${quoted(file.startsWith("-") ? `./${file}` : file)} ${quoted(`--key=${value(row, "key")}`)}`;
  };

  function open(row) {
    const list = make("dl");
    const add = (title, ...said) => { if (said.some((one) => one !== null && one !== undefined && one !== "")) list.append(make("dt", {}, title), make("dd", {}, ...said)); };
    const addWhole = (name) => { const text = value(row, name); if (text) add(WHOLE[name], make("span", { class: "mono" }, text), copyButton(text, WHOLE[name].toLowerCase())); };
    const status = value(row, "status"), verdict = value(row, "verdict");
    add("Outcome", pill((status ?? "no result").replaceAll("_", " "), Entries.tones.status[status ?? "no_result"]), verdict ? " " : null, verdict ? pill(verdict, Entries.tones.verdict[verdict]) : null);
    add("Why", Entries.why(row));
    add("Accepted", value(row, "accepted"));
    for (const name of ["key", "job_id", "object_level_compare_task_id", "data_level_compare_task_id"]) addWhole(name);
    add("Trouble", [value(row, "error_kind"), value(row, "code"), value(row, "http_status") && value(row, "error_kind") ? `HTTP ${value(row, "http_status")}` : null].filter(Boolean).join(" · "));
    if (value(row, "error_msg") !== Entries.why(row)) add("Said", value(row, "error_msg"));
    addWhole("request_id");
    const labels = Entries.labels(row);
    if (labels.size) add("Labels", make("div", { class: "labels" }, ...[...labels].map(([name, text]) => make("a", { class: "label", href: Address.text({ ...Address.parse(""), filters: new Map([[`label.${name}`, new Set([text])]]) }) }, make("span", { class: "soft" }, `${name} `), text))));
    addWhole("project_id");
    addWhole("endpoint");
    if (value(row, "submitted_at")) add("First sent", time(value(row, "submitted_at")));
    if (value(row, "finished_at")) add("Ended", time(value(row, "finished_at")), value(row, "took_s") ? ` after ${value(row, "took_s").toFixed(3)} s` : null);
    if (value(row, "attempts") !== null) add("Create requests", number(value(row, "attempts")));
    if (value(row, "recovered")) add("Recovered", "yes: the task id was learnt by looking into the cloud's list");
    add("Place", `entry ${number(value(row, "index") + 1)} of the manifest, ${Entries.files[value(row, "wave")]}`);
    for (const [file, earlierStatus, earlierVerdict] of value(row, "earlier") ?? []) add("Replaces", `${file}: ${[earlierStatus ?? "no result", earlierVerdict].filter(Boolean).join(", ")}`);
    add("Every attempt", make("code", {}, command("explain", row)), copyButton(command("explain", row), "command"));
    const differences = document.querySelector(`#differences [data-entry="${CSS.escape(Entries.anchor(row))}"] table`);
    facts.replaceChildren(list, ...(differences ? [make("h3", {}, "Differences"), make("div", { class: "wide" }, differences.cloneNode(true))] : []));
    which.textContent = value(row, "key");
    turn(row);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  }

  // The neighbours in the list, as it is filtered.
  function turn(row) {
    const shown = List.shown(), place = shown.indexOf(row);
    for (const [button, to] of [[before, place - 1], [after, place + 1]]) {
      button.disabled = place < 0 || to < 0 || to >= shown.length;
      button.onclick = () => Address.go({ ...Address.now(), entry: Entries.anchor(shown[to]) }, true);
    }
  }

  const draw = (name) => {
    const row = name === null ? undefined : Entries.at(name);
    if (row) open(row);
    else if (dialog.open) dialog.close();
  };
  dialog.addEventListener("close", () => { if (Address.now().entry !== null) Address.go({ ...Address.now(), entry: null }); });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") before.click();
    if (event.key === "ArrowRight") after.click();
  });
  document.getElementById("close").addEventListener("click", () => dialog.close());

  return { draw };
})();
