// The behaviour of report.html: sortable tables and charts.
// A click on a heading sorts by number where the cells have one, otherwise by text; empty cells stay last.
for (const button of document.querySelectorAll("th button")) button.onclick = () => {
  const th = button.closest("th"), table = th.closest("table"), column = th.cellIndex;
  const sign = th.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
  th.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  const key = row => { const cell = row.cells[column]; return cell.dataset.value ?? cell.textContent; };
  const rows = [...table.tBodies[0].rows].sort((a, b) => {
    const x = key(a), y = key(b);
    if (x === "" || y === "") return (x === "") - (y === "");
    return sign * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
  });
  table.tBodies[0].append(...rows);
};
// Charts are drawn when they come near the window, so that a report on many classes opens quickly.
const near = new IntersectionObserver(entries => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) {
    near.unobserve(target);
    const figure = JSON.parse(document.getElementById(target.dataset.figure).textContent);
    Plotly.newPlot(target, figure.data, figure.layout, { responsive: true, displaylogo: false });
  }
}, { rootMargin: "600px" });
for (const chart of document.querySelectorAll(".chart")) near.observe(chart);
