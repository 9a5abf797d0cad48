// Images, or the camera's, -> /predict -> boxes and probabilities. Asks this server alone, and keeps nothing.

const get = (id) => document.getElementById(id);
const LONGEST_SIDE = 1280; // pixels of a camera image that is sent
const FRAME_PAUSE = 60; // milliseconds between an answer and the next camera image
const CROWD = 12; // faces, above which only numbers are written beside boxes
let token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
let stream = null; // of the camera

function element(name, text = "", ...classes) {
  const made = document.createElement(name);
  made.textContent = text;
  made.classList.add(...classes);
  return made;
}

function say(text, failed = false) {
  get("status").textContent = text;
  get("status").classList.toggle("failed", failed);
}

const percent = (share) => `${Math.round(share * 100)} %`;
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

// ---- requests

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
  const answer = await fetch(path, { ...options, headers });
  const found = await answer.json().catch(() => ({ error: `The server answered ${answer.status}.` }));
  get("access").hidden = answer.status !== 401;
  if (found.error) throw new Error(found.error);
  return found;
}

function query() {
  const model = get("model").value; // "" until the models are listed: the server then takes its default
  return model && `?model=${encodeURIComponent(model)}`;
}

async function predict(image) {
  const found = await ask(`predict${query()}`, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: image });
  return found.images[0];
}

// ---- results

function newResult(name) {
  const article = get("result").content.cloneNode(true).firstElementChild;
  article.querySelector("h2").append(`${name} `, element("small", get("model").value));
  get("results").prepend(article);
  return article;
}

function show(article, found) {
  const view = article.querySelector(".view");
  const note = article.querySelector(".note");
  note.textContent = found.unreadable ? `Unreadable: ${found.unreadable}` : (found.warning ?? "");
  note.hidden = !note.textContent;
  view.hidden = Boolean(found.unreadable);
  view.querySelectorAll(".box").forEach((box) => box.remove());
  if (found.unreadable) return;
  const tall = found.width / found.height;
  view.style.aspectRatio = `${found.width} / ${found.height}`;
  view.style.maxWidth = `calc(80vh * ${tall})`;
  view.classList.toggle("crowd", found.faces.length > CROWD);
  const cards = found.faces.map((face, index) => card(face, index + 1));
  article.querySelector(".faces").replaceChildren(...cards);
  found.faces.forEach((face, index) => face.box && view.append(boxOf(face, index + 1, found, cards[index])));
}

function card(face, number) {
  const item = element("li");
  const title = element("h3", `${number} ${face.expression}`);
  title.append(element("small", face.box ? `detected with score ${face.score.toFixed(2)}` : "the whole image"));
  const shares = element("ul", "", "shares");
  for (const [name, share] of Object.entries(face.probabilities)) {
    const row = element("li");
    const bar = element("div", "", "bar");
    bar.style.width = `${share * 100}%`;
    row.append(element("span", name), bar, element("b", percent(share)));
    shares.append(row);
  }
  item.append(title, shares);
  return item;
}

function boxOf(face, number, image, item) {
  const [left, top, right, bottom] = face.box;
  const best = Math.max(...Object.values(face.probabilities));
  const box = element("button", "", "box");
  box.type = "button";
  const label = element("span", String(number), "label");
  label.append(element("span", ` ${face.expression} ${percent(best)}`, "words"));
  box.append(label);
  box.setAttribute("aria-label", label.textContent);
  box.style.left = `${(100 * left) / image.width}%`;
  box.style.top = `${(100 * top) / image.height}%`;
  box.style.width = `${(100 * (right - left)) / image.width}%`;
  box.style.height = `${(100 * (bottom - top)) / image.height}%`;
  box.classList.toggle("top", top < 0.12 * image.height);
  box.classList.toggle("tall", top < 0.12 * image.height && bottom > 0.88 * image.height);
  box.classList.toggle("right", left > 0.55 * image.width);
  const light = (on) => [box, item].forEach((each) => each.classList.toggle("lit", on));
  const scroll = () => item.scrollIntoView({ block: "nearest" });
  for (const [event, on] of [["focus", true], ["mouseenter", true], ["blur", false], ["mouseleave", false]]) {
    box.addEventListener(event, () => light(on));
  }
  box.addEventListener("click", scroll);
  box.addEventListener("focus", scroll);
  return box;
}

// ---- files

async function predictFiles(files) {
  stopCamera();
  let done = 0;
  let faces = 0;
  for (const file of files) {
    say(`${file.name}: image ${done + 1} of ${files.length} ...`);
    const article = newResult(file.name);
    try {
      const found = await predict(file);
      showFile(article, file);
      show(article, found);
      faces += found.faces?.length ?? 0;
    } catch (error) {
      article.remove();
      say(`${file.name}: ${error.message}`, true);
      return;
    }
    done += 1;
  }
  say(`${plural(faces, "face")} in ${plural(done, "image")}`);
}

function showFile(article, file) {
  const image = element("img");
  image.alt = file.name;
  image.src = URL.createObjectURL(file);
  image.addEventListener("load", () => URL.revokeObjectURL(image.src));
  image.addEventListener("error", () => image.remove()); // the browser may know fewer formats than the server
  article.querySelector(".view").prepend(image);
}

// ---- camera

async function startCamera() {
  if (!navigator.mediaDevices) throw new Error("Browsers allow the camera on https and localhost only.");
  stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: LONGEST_SIDE } } });
  get("camera").textContent = "Stop camera";
  const video = element("video");
  video.muted = video.playsInline = true;
  video.srcObject = stream;
  await video.play();
  const article = newResult("Camera");
  article.querySelector(".view").append(video);
  predictFrames(article, video, stream);
}

function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  get("camera").textContent = "Use camera";
}

async function predictFrames(article, video, ours) {
  const canvas = element("canvas");
  while (stream === ours) {
    const scale = Math.min(1, LONGEST_SIDE / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    const started = performance.now();
    try {
      const frame = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
      const found = await predict(frame);
      if (stream !== ours) break;
      show(article, found);
      say(`${plural(found.faces?.length ?? 0, "face")}, ${Math.round(performance.now() - started)} ms`);
    } catch (error) {
      if (stream === ours) stopCamera();
      say(error.message, true);
    }
    await new Promise((done) => setTimeout(done, FRAME_PAUSE));
  }
  article.remove();
}

async function switchCamera() {
  if (stream) {
    stopCamera();
    return say("");
  }
  try {
    await startCamera();
  } catch (error) {
    stopCamera();
    say(`Camera: ${error.message}`, true);
  }
}

// ---- models

async function listModels() {
  try {
    const { models, default: first } = await ask("models");
    get("model").replaceChildren(...models.map((name) => new Option(name, name, name === first, name === first)));
    await showCard();
  } catch (error) {
    say(error.message, true);
  }
}

async function showCard() {
  get("about").hidden = true;
  const found = await ask(`model${query()}`);
  get("card").replaceChildren(asElement(found));
  get("about").hidden = false;
}

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const heading = (name) => name.replaceAll("_", " ");

function asElement(value) {
  if (isObject(value)) return Object.keys(value).length ? asList(value) : document.createTextNode("none");
  if (Array.isArray(value) && value.some(isObject)) return asTable(value);
  return document.createTextNode(asText(value));
}

function asText(value) {
  if (Array.isArray(value)) return value.map(asText).join(", ") || "none";
  if (typeof value === "number" && !Number.isInteger(value)) return String(Number(value.toPrecision(3)));
  return String(value ?? "none");
}

function asList(object) {
  const list = element("dl");
  for (const [name, value] of Object.entries(object)) {
    const described = element("dd");
    described.append(asElement(value));
    list.append(element("dt", heading(name)), described);
  }
  return list;
}

function asTable(rows) {
  const names = [...new Set(rows.flatMap(Object.keys))];
  const table = element("table");
  const titles = table.createTHead().insertRow();
  titles.append(...names.map((name) => element("th", heading(name))));
  const body = table.createTBody();
  for (const row of rows) {
    const cells = body.insertRow();
    for (const name of names) cells.insertCell().append(asElement(row[name]));
  }
  const scroll = element("div", "", "scroll");
  scroll.tabIndex = 0; // so that the keyboard can scroll it
  scroll.append(table);
  return scroll;
}

// ---- events

get("choose").addEventListener("click", () => get("files").click());
get("files").addEventListener("change", async () => {
  await predictFiles([...get("files").files]);
  get("files").value = ""; // so that the same image can be chosen again
});
get("camera").addEventListener("click", switchCamera);
get("model").addEventListener("change", () => showCard().catch((error) => say(error.message, true)));
get("access").addEventListener("submit", (event) => {
  event.preventDefault();
  token = get("token").value;
  say("");
  listModels();
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) predictFiles([...event.clipboardData.files]);
});
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    get("drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) predictFiles([...event.dataTransfer.files]);
  });
}
listModels();
