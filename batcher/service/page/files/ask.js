// Requests to the service. What it refuses is a `Refused` with its problem document; where it is not reached, a `Lost`.
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `HTTP ${status}`);
    this.status = status;
    this.problem = problem;
  }
}
export class Lost extends Error {}

let csrf = null, whenOut = () => {};
export const whenLoggedOut = (told) => { whenOut = told; };

async function problemOf(answer) {
  try {
    return await answer.json();
  } catch { // a proxy's own page, say
    return { detail: `HTTP ${answer.status} ${answer.statusText}` };
  }
}

export async function send(path, { method = "GET", body, headers = {}, signal } = {}) {
  const own = { ...headers };
  if (method !== "GET" && csrf) own["X-Batcher-CSRF"] = csrf;
  if (body !== undefined) own["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers: own, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Lost(error.message);
  }
  if (answer.ok) return answer;
  const refused = new Refused(answer.status, await problemOf(answer));
  if (answer.status === 401 && !path.startsWith("/v1/session")) whenOut();
  if ([502, 504].includes(answer.status)) throw new Lost(refused.message); // a proxy that does not reach it
  throw refused;
}

export async function ask(path, options) {
  const answer = await send(path, options);
  try {
    return answer.status === 204 ? null : await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Lost(error.message); // the connection broke in the middle
  }
}

// --- who it is ---
export async function session() {
  const who = await ask("/v1/session");
  csrf = who.csrf;
  return who;
}
export async function logIn(token) {
  const who = await ask("/v1/session", { method: "POST", body: { token } });
  csrf = who.csrf;
  return who;
}
export async function logOut() {
  await ask("/v1/session", { method: "DELETE" });
  csrf = null;
}

// A file as the body, with its progress: fetch does not tell that.
export function upload(path, file, type, headers, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("Content-Type", type);
    if (csrf) request.setRequestHeader("X-Batcher-CSRF", csrf);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => { if (event.lengthComputable) progress(event.loaded / event.total); };
    request.onerror = () => reject(new Lost("the connection broke"));
    request.onload = () => {
      let told = null;
      try {
        told = JSON.parse(request.responseText);
      } catch { // a proxy's own page, say
        told = { detail: `HTTP ${request.status}` };
      }
      if (request.status >= 200 && request.status < 300) resolve(told);
      else {
        if (request.status === 401) whenOut();
        reject(new Refused(request.status, told));
      }
    };
    request.send(file);
  });
}
