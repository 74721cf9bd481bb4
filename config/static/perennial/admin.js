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

  document.addEventListener("DOMContentLoaded", () => {
    editors(document);
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
