// The few lines the theme lacks: an editor that keeps Tab, charts in swapped fragments, confirmation of verbs.
(() => {
  "use strict";

  const grow = (box) => {
    box.style.height = "auto";
    box.style.height = Math.min(box.scrollHeight + 4, 720) + "px";
  };

  const editors = (root) => {
    for (const box of root.querySelectorAll("textarea[data-json], textarea[data-source]")) {
      if (box.dataset.ready) continue;
      box.dataset.ready = "1";
      grow(box);
      box.addEventListener("input", () => grow(box));
      box.addEventListener("keydown", (event) => {
        if (event.key !== "Tab" || event.shiftKey || event.altKey || event.ctrlKey) return;
        event.preventDefault();
        box.setRangeText("  ", box.selectionStart, box.selectionEnd, "end");
      });
    }
  };

  // The theme draws its charts once, on load; a chart that arrives later is drawn here, in that fragment only.
  const chartsIn = (root) => {
    for (const canvas of root.querySelectorAll("canvas[data-late-chart]")) {
      if (Chart.getChart(canvas)) continue;
      const spec = JSON.parse(canvas.dataset.value);
      new Chart(canvas.getContext("2d"), {
        type: canvas.dataset.type || "line",
        data: spec,
        options: { responsive: true, maintainAspectRatio: false, animation: false, plugins: { legend: { display: false } } },
      });
    }
  };

  // A form that shows what another form says, saved or not, takes its fields along.
  const carry = (form) => {
    for (const [name, value] of new FormData(document.querySelector(form.dataset.carry))) {
      if (typeof value !== "string" || name === "csrfmiddlewaretoken") continue;
      const field = document.createElement("textarea");
      Object.assign(field, { name, value, hidden: true });
      field.dataset.carried = "";
      form.append(field);
    }
    setTimeout(() => form.querySelectorAll("[data-carried]").forEach((field) => field.remove()));
  };

  // From a finding to its box: open the tab, put the cursor on the line.
  const goto = (id, line) => {
    const box = document.getElementById(id);
    if (!box) return;
    const pane = box.closest("[role=tabpanel]");
    if (pane && pane.hidden) document.querySelector(`[data-tab="${pane.id}"]`).click();
    box.focus();
    if (!line || !box.setSelectionRange) return;
    const lines = box.value.split("\n");
    const from = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
    box.setSelectionRange(from, from + (lines[line - 1] || "").length);
    if (box.tagName === "TEXTAREA") box.scrollTop = (box.scrollHeight / lines.length) * Math.max(0, line - 4);
  };

  document.addEventListener("DOMContentLoaded", () => {
    editors(document);
    document.querySelectorAll("form[data-carry]").forEach((form) => {
      form.addEventListener("submit", () => carry(form));
      if ("carryNow" in form.dataset) form.requestSubmit();
    });
    document.addEventListener("submit", (event) => {
      const question = event.target.dataset ? event.target.dataset.confirm : "";
      if (question && !window.confirm(question)) event.preventDefault();
    });
    document.addEventListener("change", (event) => {
      if (event.target.matches("[data-submit-on-change] select, [data-submit-on-change] input")) event.target.form.requestSubmit();
    });
  });
  document.addEventListener("htmx:afterSwap", (event) => { editors(event.target); chartsIn(event.target); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-goto]");
    if (link) goto(link.dataset.goto, Number(link.dataset.line));
    const tab = event.target.closest("[data-tab]");
    if (!tab) return;
    const group = tab.closest("[data-tabs]");
    for (const other of group.querySelectorAll("[data-tab]")) {
      const on = other === tab;
      other.setAttribute("aria-selected", on ? "true" : "false");
      const pane = document.getElementById(other.dataset.tab);
      if (pane) pane.hidden = !on;
      if (on && pane) editors(pane), pane.querySelectorAll("textarea").forEach(grow);
    }
  });
})();
