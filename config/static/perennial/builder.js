// The rule builder's few lines: searching the questions, and where the keyboard goes on after the boxes are redrawn.
(() => {
  "use strict";

  const search = (box) => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const picker = box.closest("[data-picker]");
    let found = 0;
    for (const family of picker.querySelectorAll("[data-picker-family]")) {
      let here = 0;
      for (const item of family.querySelectorAll("[data-picker-item]")) {
        item.hidden = !words.every((word) => item.dataset.pickerItem.includes(word));
        if (!item.hidden) here += 1;
      }
      family.hidden = here === 0;
      found += here;
    }
    picker.querySelector("[data-picker-none]").hidden = found > 0;
  };

  const shown = (picker) => [...picker.querySelectorAll("[data-picker-item]")].filter((item) => !item.hidden);

  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-picker-search]")) { event.stopPropagation(); search(event.target); }
  }, true);

  document.addEventListener("keydown", (event) => {
    const picker = event.target.closest ? event.target.closest("[data-picker]") : null;
    if (picker && ["ArrowDown", "ArrowUp", "Enter"].includes(event.key)) {
      const items = shown(picker);
      const here = items.indexOf(event.target);
      if (event.key === "Enter") {
        if (here >= 0) return;
        event.preventDefault();
        const typed = event.target.value.trim().toLowerCase();
        const named = items.find((item) => item.dataset.op === typed || item.querySelector("b").textContent.toLowerCase() === typed);
        if (items.length) (named || items[0]).click();
        return;
      }
      event.preventDefault();
      const next = here + (event.key === "ArrowDown" ? 1 : -1);
      (items[next] || picker.querySelector("[data-picker-search]")).focus();
    } else if (event.key === "Escape") {
      const menu = event.target.closest ? event.target.closest("details.p-menu[open]") : null;
      if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
    } else if (event.key === "Enter" && event.target.matches && event.target.matches("#rule-builder input")) {
      event.preventDefault();  // a rule is saved with its button, not by the way
    }
  });

  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.p-menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });

  // What is typed while the boxes are on their way stays: the answer knows only what was sent.
  const builder = () => document.getElementById("rule-builder");
  const boxes = () => [...builder().querySelectorAll("input[id]:not([type=hidden]), select[id], textarea[id]")];
  let sent = new Map();
  let typed = [];
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!builder() || event.detail.target !== builder()) return;
    const redraws = event.detail.requestConfig.parameters.do === "redraw";
    sent = new Map(redraws ? boxes().map((box) => [box.id, box.value]) : []);
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!builder() || event.detail.target !== builder()) return;
    typed = boxes().filter((box) => sent.has(box.id) && sent.get(box.id) !== box.value).map((box) => [box.id, box.value]);
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target !== builder()) return;
    for (const [id, value] of typed) {
      const box = document.getElementById(id);
      if (!box) continue;
      box.value = value;
      box.dispatchEvent(new Event("input", { bubbles: true }));
    }
    typed = [];
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    const bar = event.target === builder() ? builder().querySelector("[data-focus]") : null;
    const id = bar ? bar.dataset.focus : "";
    if (!id) return;
    bar.dataset.focus = "";
    const box = document.getElementById(id) || document.querySelector(`[data-start="${id}"] .p-fields :is(input, select):not([type=hidden])`);
    const goal = box && box.disabled ? box.parentElement.querySelector("button:not([disabled])") : box;
    if (goal) goal.focus();
  });
})();
