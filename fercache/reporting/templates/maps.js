"use strict";
// The face at a point of a map, under the pointer or, with the arrow keys, from face to face.
(() => {
  const { load, face, make } = fercache;
  const NEAR = 9; // of the drawing's pixels
  const tip = make("div", { className: "tip", hidden: true });
  tip.setAttribute("role", "status");
  document.body.append(tip);

  for (const card of document.querySelectorAll(".map[data-file]")) {
    const { file, side } = card.dataset;
    const svg = card.querySelector("svg");
    const title = svg.querySelector("title");
    svg.setAttribute("aria-label", title.textContent);
    title.remove(); // browsers would show it over the faces
    svg.tabIndex = 0;
    const ring = document.createElementNS(svg.namespaceURI, "circle");
    ring.setAttribute("class", "ring");
    ring.setAttribute("r", 5);
    let data = null;
    let at = -1;
    const ready = async () => { data ??= await load(file); };

    function hide() {
      tip.hidden = true;
      ring.remove();
    }

    function show(each) {
      const [x, y] = data[side][each];
      ring.setAttribute("cx", x);
      ring.setAttribute("cy", y);
      svg.append(ring);
      if (at !== each || tip.hidden) {
        const [truth, predicted] = [data.truth, data.predicted].map((names) => data.expressions[names[each]]);
        const images = data.images[data.domain[each]];
        const words = truth === predicted ? [make("b", {}, truth), " predicted correctly"] : [make("b", {}, truth), " predicted as ", make("b", {}, predicted)];
        tip.replaceChildren(...(data.image[each] < 0 ? [] : [face(images, data.image[each], data.id[each])]),
          make("p", {}, ...words, make("span", {}, data.domains[data.domain[each]]), make("code", {}, data.id[each])));
      }
      at = each;
      tip.hidden = false;
      const point = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
      const { width, height } = tip.getBoundingClientRect();
      tip.style.left = `${Math.max(4, Math.min(point.x + 12, document.documentElement.clientWidth - width - 4))}px`;
      tip.style.top = `${point.y + 12 + height > innerHeight ? point.y - 12 - height : point.y + 12}px`;
    }

    const point = async (event) => {
      const pointer = new DOMPoint(event.clientX, event.clientY);
      await ready().catch(() => {});
      if (!data) return;
      const { x, y } = pointer.matrixTransform(svg.getScreenCTM().inverse());
      let [best, nearest] = [NEAR, -1];
      data[side].forEach(([px, py], each) => {
        const far = Math.hypot(px - x, py - y);
        if (far < best) [best, nearest] = [far, each];
      });
      if (nearest < 0) hide();
      else show(nearest);
    };
    svg.addEventListener("pointermove", point);
    svg.addEventListener("pointerdown", point);
    svg.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", async (event) => {
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      if (event.key === "Escape") hide();
      if (!step) return;
      event.preventDefault();
      await ready().catch(() => {});
      if (data) show((at + step + data.id.length) % data.id.length);
    });
  }
})();
