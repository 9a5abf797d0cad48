"use strict";
// Faces behind a cell of a confusion matrix, and behind a comparison of two methods. They are in scripts beside the
// page, because a page that was opened as a file may load no other data; each gives its data to `fercache`.
const fercache = (() => {
  const given = new Map();
  const loaded = new Map();

  function load(path) {
    if (!loaded.has(path)) {
      loaded.set(path, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = encodeURI(path);
        script.onload = () => (given.has(path) ? resolve(given.get(path)) : script.onerror());
        script.onerror = () => {
          loaded.delete(path);
          reject(new Error(`${path} is missing: keep it beside this page, or make the report again with fercache compare.`));
        };
        document.head.append(script);
      }));
    }
    return loaded.get(path);
  }

  /** The data URI of the image at a place in the `images` of a target. */
  async function image(images, place) {
    const uris = await load(`${images.files}-${Math.floor(place / images.each)}.js`);
    return uris[place % images.each];
  }

  function make(tag, attributes, ...children) {
    const element = Object.assign(document.createElement(tag), attributes);
    element.append(...children);
    return element;
  }

  /** An element for the image of a face: blank until it is there, and without one. */
  function face(images, place, id) {
    const blank = make("span", { className: "blank" }, place < 0 ? "no image" : "");
    if (place >= 0) {
      image(images, place).then(
        (src) => blank.replaceWith(make("img", { src, width: 72, height: 72, alt: `Face ${id}` })),
        () => { blank.textContent = "no image"; },
      );
    }
    return blank;
  }

  return { give: (path, data) => { given.set(path, data); }, load, face, make };
})();

(() => {
  const { load, face, make } = fercache;
  const STEP = 24; // faces at a time
  const CERTAIN = 10000;
  const number = (count) => count.toLocaleString("en");
  const counted = (count, what) => `${number(count)} ${what}${count === 1 ? "" : "s"}`;
  const percent = (share) => `${(100 * share / CERTAIN).toFixed(1)} %`;

  const heading = make("h2", { id: "faces-heading" });
  const about = make("p", { className: "muted" });
  const list = make("ol", {});
  const more = make("button", { type: "button" });
  const close = make("button", { type: "button", className: "close" }, "Close");
  const dialog = make("dialog", { className: "faces" }, make("header", {}, heading, close), about, list, more);
  dialog.setAttribute("aria-labelledby", heading.id);
  document.body.append(dialog);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  let opened = 0;

  /** Opens the dialog and loads its data; null if another one was opened meanwhile. */
  async function open(title, file) {
    opened += 1;
    const own = opened;
    heading.textContent = title;
    about.textContent = "Loading …";
    list.replaceChildren();
    more.hidden = true;
    dialog.showModal();
    dialog.scrollTop = 0;
    const data = await load(file);
    return own === opened ? data : null;
  }

  /** Shows `faces`, indices into the data of a target, with probabilities by the place of a method. */
  function show(data, faces, sure, { sentence, lines }) {
    const hidden = faces.every((each) => data.image[each] < 0);
    about.textContent = sentence;
    if (hidden && faces.length) {
      about.append(" Images are hidden, since they may be of real people; ", make("code", {}, "fercache compare --thumbnails"),
        " shows them where the dataset is available.");
    }
    const card = (each) => make("li", {},
      make("div", { className: "who" }, ...(hidden ? [] : [face(data.images, data.image[each], data.id[each])]),
        make("div", {}, ...lines(each), make("code", {}, data.id[each]))),
      probabilities(data, each, [...sure.values()]), ...votes(data, each), ...others(data, each, [...sure.keys()]));
    let shown = 0;
    more.onclick = () => {
      list.append(...faces.slice(shown, shown + STEP).map(card));
      shown = Math.min(shown + STEP, faces.length);
      more.hidden = shown === faces.length;
      more.textContent = `Show more: ${shown} of ${number(faces.length)} are shown`;
    };
    more.onclick();
  }

  /** How many seeds of a method are right about a face, how many were scored on it, and what most others predict. */
  function answered(data, { answers }, each) {
    const given = answers.map((seed) => seed[each]).filter((answer) => answer >= 0);
    const wrong = given.filter((answer) => answer !== data.truth[each]);
    const times = (answer) => wrong.filter((other) => other === answer).length;
    const [usual] = [...wrong].sort((a, b) => times(b) - times(a));
    return { right: given.length - wrong.length, seeds: given.length, wrong: data.expressions[usual] };
  }

  function votes(data, each) {
    if (!data.votes) return [];
    const given = data.votes.names.map((name, i) => [name, data.votes.counts[each][i]]).filter(([, count]) => count > 0);
    const words = given.sort((a, b) => b[1] - a[1]).map((pair) => pair.join(" ")).join(", ");
    return [make("p", {}, make("b", {}, "Votes"), ` ${words || "none"}`)];
  }

  function probabilities(data, each, columns) {
    const rows = data.expressions.map((name, i) => make("tr", { className: i === data.truth[each] ? "true" : "" },
      make("th", { scope: "row" }, name), ...columns.map((sure) => {
        const share = sure[each][i];
        const cell = make("td", {}, percent(share));
        cell.style.setProperty("--share", `${100 * share / CERTAIN}%`);
        return cell;
      })));
    const letters = columns.length > 1 ? ["A", "B"].map((name) => make("th", { scope: "col" }, name)) : [];
    const head = letters.length ? [make("thead", {}, make("tr", {}, make("td", {}), ...letters))] : [];
    return make("table", {}, make("caption", {}, "Probabilities"), ...head, make("tbody", {}, ...rows));
  }

  function others(data, each, methods) {
    const said = { Right: [], Wrong: [], "Not scored": [] };
    data.methods.forEach((method, place) => {
      if (methods.includes(place)) return;
      const { right, seeds, wrong } = answered(data, method, each);
      if (!seeds) said["Not scored"].push(method.name);
      else if (right) said.Right.push(method.name + (right < seeds ? ` (${right} of ${seeds} seeds)` : ""));
      else said.Wrong.push(`${method.name} (${wrong})`);
    });
    return Object.entries(said).filter(([, names]) => names.length)
      .map(([kind, names]) => make("p", {}, make("b", {}, kind), ` ${names.join(", ")}`));
  }

  const failed = (error) => { about.textContent = error.message; };
  const surest = (sure, expression) => (a, b) => sure[b][expression(b)] - sure[a][expression(a)];

  async function showAnswers(file, place, truth, predicted) {
    const data = await open(`${truth} predicted as ${predicted}`, file);
    if (!data) return;
    const method = data.methods[place];
    const [true_, wrong] = [truth, predicted].map((name) => data.expressions.indexOf(name));
    const all = method.faces[`${true_} ${wrong}`] ?? 0;
    const faces = data.id.map((_, each) => each)
      .filter((each) => data.truth[each] === true_ && method.answers.some((seed) => seed[each] === wrong))
      .sort(surest(method.sure, () => wrong)).slice(0, data.most);
    const seeds = method.seeds.length > 1 ? `, by any of its ${method.seeds.length} seeds` : "";
    const some = faces.length < all ? `the ${number(faces.length)} most confident of ` : "";
    const lines = (each) => {
      const wrongly = method.answers.filter((seed) => seed[each] === wrong).length;
      const of = method.seeds.length > 1 ? `, ${wrongly} of ${method.seeds.length} seeds` : "";
      const confidence = make("span", {}, percent(method.sure[each][wrong]) + of);
      return [make("p", {}, make("b", {}, truth), " predicted as ", make("b", {}, predicted), confidence)];
    };
    const means = seeds && " Probabilities are means over the seeds.";
    const sentence = `${method.name} on ${data.target}: ${some}${counted(all, "face")}${seeds}, the most confident first.${means}`;
    show(data, faces, new Map([[place, method.sure]]), { sentence, lines });
  }

  const KINDS = {
    only_a: ["Only A is right", (a, b) => a && !b, "B"],
    only_b: ["Only B is right", (a, b) => b && !a, "A"],
    neither: ["Both are wrong", (a, b) => !a && !b, "A"],
  };

  async function showPair(file, pair, kind) {
    const [title, belongs, sorted] = KINDS[kind];
    const data = await open(title, file);
    if (!data) return;
    const first = [pair.a, pair.b].map((place) => data.methods[place].answers[0]);
    const faces = data.id.map((_, each) => each).filter((each) => first.every((answer) => answer[each] >= 0)
      && belongs(...first.map((answer) => answer[each] === data.truth[each])));
    const place = sorted === "A" ? pair.a : pair.b;
    const sure = new Map([pair.a, pair.b].map((each) => [each, data.methods[each].first ?? data.methods[each].sure]));
    faces.sort(surest(sure.get(place), (each) => data.methods[place].answers[0][each]));
    const some = faces.length < pair[kind] ? `${number(faces.length)} of ` : "";
    const names = [pair.a, pair.b].map((each) => data.methods[each]).map(({ name, seeds }, i) => `${"AB"[i]}: ${name} (seed ${seeds[0]})`);
    const lines = (each) => [
      make("p", {}, make("b", {}, data.expressions[data.truth[each]])),
      ...first.map((answer, i) => make("p", {}, `${"AB"[i]} predicts `, make("b", {}, data.expressions[answer[each]]))),
    ];
    const sentence = `${names.join("; ")}. ${some}${counted(pair[kind], "face")}, those that ${sorted} is most confident about first.`;
    show(data, faces, sure, { sentence, lines });
  }

  const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  /** One stop of the Tab key for a table of buttons; arrow keys go from one to the next in their direction. */
  function arrows(table) {
    const buttons = [...table.querySelectorAll("td button")];
    buttons.forEach((button, i) => { button.tabIndex = i ? -1 : 0; });
    table.addEventListener("keydown", (event) => {
      const [across, down] = DIRECTIONS[event.key] ?? [0, 0];
      if (!event.target.matches("td button") || !(across || down)) return;
      event.preventDefault();
      const at = event.target.closest("td");
      const lies = (cell) => [cell.cellIndex - at.cellIndex, cell.parentNode.rowIndex - at.parentNode.rowIndex];
      const far = ([x, y]) => Math.abs(x) + Math.abs(y) + 20 * Math.abs(across ? y : x); // straight on, if there is one
      const ahead = buttons.filter((button) => { const [x, y] = lies(button.parentNode); return across * x + down * y > 0; });
      const [next] = ahead.sort((a, b) => far(lies(a.parentNode)) - far(lies(b.parentNode)));
      if (!next) return;
      event.target.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  }

  function asButton(cell, label, action) {
    const button = make("button", { type: "button" }, ...cell.childNodes);
    button.setAttribute("aria-label", label);
    button.addEventListener("click", () => action().catch(failed));
    cell.replaceChildren(button);
  }

  for (const table of document.querySelectorAll("[data-file] .confusion[data-method]")) {
    const { file } = table.closest("[data-file]").dataset;
    for (const cell of table.querySelectorAll("td[data-answers]")) {
      const { truth } = cell.parentNode.dataset;
      const predicted = table.tHead.rows[0].cells[cell.cellIndex].textContent;
      const label = `${truth} predicted as ${predicted}: ${counted(Number(cell.dataset.answers), "answer")}, show the faces`;
      asButton(cell, label, () => showAnswers(file, Number(table.dataset.method), truth, predicted));
    }
    arrows(table);
  }

  const FIELDS = ["a", "b", "both", "only_a", "only_b", "neither", "p"];
  for (const card of document.querySelectorAll("[data-file] .pair")) {
    const { file } = card.closest("[data-file]").dataset;
    const [rows, names, seeds] = ["pairs", "methods", "seeds"].map((name) => JSON.parse(card.dataset[name]));
    const pairs = rows.map((row) => Object.fromEntries(row.map((value, i) => [FIELDS[i], value])));
    const chosen = {};
    const pair = () => {
      const [a, b] = [Number(chosen.a.value), Number(chosen.b.value)];
      const found = pairs.find((each) => each.a === Math.min(a, b) && each.b === Math.max(a, b));
      return a < b ? found : { ...found, a, b, only_a: found.only_b, only_b: found.only_a };
    };
    const update = () => {
      for (const [side, other] of [["a", "b"], ["b", "a"]]) {
        for (const option of chosen[side].options) option.disabled = option.value === chosen[other].value;
      }
      const found = pair();
      for (const cell of card.querySelectorAll("[data-count]")) {
        const value = found[cell.dataset.count];
        (cell.querySelector("button") ?? cell).textContent = typeof value === "number" ? number(value) : value;
      }
    };
    for (const side of ["a", "b"]) {
      const place = card.querySelector(`[data-side="${side}"]`);
      const now = names.indexOf(place.textContent);
      chosen[side] = make("select", {}, ...names.map((name, i) => new Option(`${name}, seed ${seeds[i]}`, i, i === now, i === now)));
      chosen[side].setAttribute("aria-label", `Method ${side.toUpperCase()}`);
      chosen[side].addEventListener("change", update);
      place.replaceChildren(chosen[side]);
    }
    for (const [kind, [title]] of Object.entries(KINDS)) {
      const cell = card.querySelector(`[data-count="${kind}"]`);
      asButton(cell, `${title}: show the faces`, () => showPair(file, pair(), kind));
    }
    arrows(card.querySelector("table"));
    update();
  }

  for (const list of document.querySelectorAll(".errors ol[data-images]")) {
    list.closest("details").addEventListener("toggle", () => {
      const images = JSON.parse(list.dataset.images);
      for (const blank of list.querySelectorAll("[data-place]")) {
        blank.replaceWith(face(images, Number(blank.dataset.place), blank.parentNode.querySelector("code").textContent));
      }
    }, { once: true });
  }

  document.querySelectorAll(".scripted").forEach((each) => { each.hidden = document.querySelector("[data-file]") === null; });
})();
