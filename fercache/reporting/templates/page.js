"use strict";
// Sorts and filters the tables of scores, folds rows, copies commands, and opens what a link leads to. Without it
// everything can be read; only the controls are not there.
(() => {
  const form = document.getElementById("filters");
  const tables = [...document.querySelectorAll("table[data-headline]")].map((table) => ({
    table,
    rows: [...table.tBodies[0].rows],
    headings: [...table.querySelectorAll("th[data-sort]")],
  }));

  const chosen = (name) => form?.elements[name]?.value ?? "";

  function policyOf({ table, rows }) {
    const policy = chosen("policy");
    return rows.some((row) => row.dataset.policy === policy) ? policy : table.dataset.headline;
  }

  function filter() {
    let shown = 0;
    let all = 0;
    for (const each of tables) {
      const policy = policyOf(each);
      const ofPolicy = each.rows.filter((row) => row.dataset.policy === policy);
      const fits = (row, name) => !chosen(name) || row.dataset[name] === chosen(name);
      const kept = ofPolicy.filter((row) => fits(row, "head") && fits(row, "trunk"));
      each.rows.forEach((row) => { row.hidden = !kept.includes(row); });
      each.table.querySelectorAll("caption [data-policy]").forEach((text) => { text.hidden = text.dataset.policy !== policy; });
      each.table.classList.toggle("oracle", policy === "oracle");
      each.table.closest("article").querySelector(".nothing").hidden = kept.length > 0;
      shown += kept.length;
      all += ofPolicy.length;
    }
    if (form) document.getElementById("count").value = `${shown} of ${all} method${all === 1 ? "" : "s"}`;
  }

  function compare(a, b, place) {
    const [left, right] = [a, b].map((row) => row.cells[place].textContent.trim());
    return place === 0 ? left.localeCompare(right, "en", { numeric: true }) : Number.parseFloat(left) - Number.parseFloat(right);
  }

  function sort({ table, rows, headings }, heading) {
    const place = Number(heading.dataset.sort);
    const before = heading.getAttribute("aria-sort");
    const descending = before ? before === "ascending" : place > 0; // the best score first
    headings.forEach((each) => each.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const missing = (row) => row.cells[place].classList.contains("missing");
    table.tBodies[0].append(...[...rows].sort((a, b) =>
      missing(a) || missing(b) ? missing(a) - missing(b) : compare(a, b, place) * (descending ? -1 : 1)));
  }

  function reset() {
    form.reset();
    for (const { table, rows, headings } of tables) {
      headings.forEach((heading) => heading.removeAttribute("aria-sort"));
      table.tBodies[0].append(...rows);
    }
    filter();
  }

  for (const each of tables) {
    for (const heading of each.headings) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      button.setAttribute("aria-label", heading.dataset.label); // without the arrow
      heading.append(button);
      button.addEventListener("click", () => sort(each, heading));
    }
  }
  if (form) {
    form.hidden = false;
    form.addEventListener("change", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    document.getElementById("unfilter").addEventListener("click", reset);
    filter(); // browsers keep what was chosen before a reload
  }

  // A body of rows that says the same thing in all of them shows its first row only.
  for (const body of document.querySelectorAll("tbody.unfolds")) {
    const [first, ...rest] = body.rows;
    const button = document.createElement("button");
    const show = (open) => {
      button.setAttribute("aria-expanded", open);
      rest.forEach((row) => { row.hidden = !open; });
    };
    button.type = "button";
    button.append(...first.cells[0].childNodes);
    first.cells[0].append(button);
    button.addEventListener("click", () => show(button.getAttribute("aria-expanded") !== "true"));
    show("open" in body.dataset);
  }

  // A link opens what it leads to, and all that is around it.
  function reveal() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const own = target.querySelector(":scope > details");
    if (own) own.open = true;
    for (let around = target.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
    target.scrollIntoView();
  }
  window.addEventListener("hashchange", reveal);
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    if (link && link.hash === location.hash) reveal(); // no change, so no event
  });
  reveal();

  const closed = [];
  window.addEventListener("beforeprint", () => {
    closed.push(...document.querySelectorAll("details:not([open])"));
    closed.forEach((details) => { details.open = true; });
  });
  window.addEventListener("afterprint", () => closed.splice(0).forEach((details) => { details.open = false; }));

  function copyButton(text, name, label) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = name;
    button.setAttribute("aria-label", label);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = name; }, 1500);
    });
    return button;
  }
  for (const block of navigator.clipboard ? document.querySelectorAll("pre") : []) {
    const lines = block.textContent.split("\n").filter(Boolean);
    block.replaceChildren(...lines.map((text, place) => {
      const line = document.createElement("span");
      line.className = "line";
      line.append(copyButton(text, "Copy", `Copy command ${place + 1}`), text, "\n");
      return line;
    }));
    block.before(copyButton(lines.join("\n") + "\n", "Copy all", "Copy all commands"));
  }
})();
