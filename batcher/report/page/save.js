// What is filtered, as a file: made here, in the browser. The columns are those of `batcher report --csv`.
const Save = (() => {
  const { value } = Entries;
  const COLUMNS = [
    "index", "key", "job_id", "project_id", "endpoint", "status", "verdict", "verdict_reason", "attempts", "recovered",
    "object_level_compare_task_id", "data_level_compare_task_id", "error_kind", "error_code", "error_msg", "http_status",
    "request_id", "submitted_at", "finished_at",
  ];
  const several = Entries.files.length > 1;
  const fileOf = (row) => Entries.files[value(row, "wave")];

  // A text that a spreadsheet would calculate gets an apostrophe before it; so does what stands behind a delimiter in it.
  const FORMULA = /(^|[,;|\t\r\n])(?=[\s"]*[=+\-@\uff1d\uff0b\uff0d\uff20])|^(?=[\t\r\n])/g;
  const cell = (text) => {
    if (text === null || text === undefined) return "";
    if (typeof text !== "string") return String(text);
    const safe = text.replace(FORMULA, "$1'");
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };

  const csv = (rows) => {
    const head = [...(several ? ["file"] : []), ...COLUMNS, ...Entries.labelNames.map((name) => `label.${name}`)];
    const lines = rows.map((row) => [
      ...(several ? [fileOf(row)] : []), ...COLUMNS.map((name) => value(row, name)),
      ...Entries.labelNames.map((name) => Entries.labels(row).get(name)),
    ].map(cell).join(","));
    return `\ufeff${[head.map((name) => `"${cell(name).replace(/^"|"$/g, "")}"`).join(","), ...lines].join("\r\n")}\r\n`;
  };

  const jsonl = (rows) => rows.map((row) => JSON.stringify({
    ...(several ? { file: fileOf(row) } : {}), ...Object.fromEntries(COLUMNS.map((name) => [name, value(row, name) ?? null])),
    labels: Object.fromEntries(Entries.labels(row)),
  })).join("\n") + (rows.length ? "\n" : "");

  const download = (text, type, ending) => {
    const url = URL.createObjectURL(new Blob([text], { type }));
    const name = Entries.files.length === 1 ? Entries.files[0].split("/").pop().replace(/\.jsonl?$/, "") : "waves";
    const link = Parts.make("a", { href: url, download: `${name}-entries.${ending}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    Parts.tell(`${Parts.number(List.shown().length)} entries saved.`);
  };

  document.getElementById("save-csv").addEventListener("click", () => download(csv(List.shown()), "text/csv", "csv"));
  document.getElementById("save-jsonl").addEventListener("click", () => download(jsonl(List.shown()), "application/x-ndjson", "jsonl"));
  document.getElementById("copy-keys").addEventListener("click", async () => {
    const keys = List.shown().map((row) => value(row, "key"));
    Parts.tell(await Parts.copy(keys.join("\n")) ? `${Parts.number(keys.length)} keys copied.` : "Your browser does not allow copying.");
  });

  return { csv, jsonl };
})();
