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
// The recall slider: accuracy of every method at one recall, and the images that the chosen method misses there.
const MOST_LISTED = 60;
const cell = (row, text, type) => { const td = row.insertCell(); if (type) td.className = type; td.append(text); return td; };
function slider(root) {
  const data = JSON.parse(document.getElementById(root.dataset.slider).textContent);
  const range = root.querySelector("input[type=range]"), body = root.querySelector("tbody");
  const rows = data.methods.map((method, index) => {
    const row = body.insertRow(), radio = document.createElement("input"), label = document.createElement("label");
    Object.assign(radio, { type: "radio", name: root.dataset.slider, checked: index === 0, onchange: show });
    label.append(radio, method.name);
    cell(row, label);
    cell(row, method.label, "text");
    return { method, radio, accuracy: cell(row, ""), difference: cell(row, ""), row };
  });
  function show() {
    const at = Number(range.value), recall = data.recalls[at], reference = data.methods[0].accuracy[at];
    root.querySelector("output").textContent = recall.toFixed(3);
    for (const { method, accuracy, difference, row, radio } of rows) {
      const change = method.accuracy[at] - reference;
      accuracy.textContent = method.accuracy[at].toFixed(4);
      difference.textContent = method === data.methods[0] ? "-" : (change < 0 ? "" : "+") + change.toFixed(4);
      row.className = radio.checked ? "selected" : "";
    }
    list(rows.find(({ radio }) => radio.checked).method, at);
    const chart = root.querySelector(".curves");
    if (chart.data) Plotly.relayout(chart, { shapes: [line(recall)] });
  }
  function list(method, at) {
    const missed = Object.entries(method.found)
      .map(([name, from]) => [name, from.filter(position => position > at).length, from.length])
      .filter(([, count]) => count).sort((a, b) => b[1] / b[2] - a[1] / a[2] || a[0].localeCompare(b[0]));
    const more = missed.length - MOST_LISTED;
    root.querySelector("p.missed").textContent = missed.length
      ? `${method.name} misses ${missed.length} important test images with at least one seed` +
        (more > 0 ? `; the first ${MOST_LISTED}:` : ":")
      : `${method.name} misses no important test image.`;
    root.querySelector("ul.missed").replaceChildren(...missed.slice(0, MOST_LISTED).map(([name, count, of]) => {
      const item = document.createElement("li");
      item.textContent = `${name}: ${count} of ${of} seeds`;
      return item;
    }));
  }
  const line = recall => ({ type: "line", x0: recall, x1: recall, yref: "paper", y0: 0, y1: 1, line: { dash: "dot", color: "#777" } });
  const text = name => name.replaceAll("&", "&amp;").replaceAll("<", "&lt;");  // plotly reads a subset of HTML
  root.draw = () => Plotly.newPlot(root.querySelector(".curves"), data.methods.map(({ name, colour, accuracy }, index) => ({
    x: data.recalls, y: accuracy, name: text(name), mode: "lines",
    line: { color: colour, dash: data.methods.findIndex(other => other.colour === colour) < index ? "dash" : "solid" },
    hovertemplate: "recall %{x:.3f}, accuracy %{y:.4f}",
  })), {
    margin: { t: 20 }, 
    xaxis: { title: { text: "recall of the important class (test)" }, range: [Math.max(0, data.recalls[data.start] - 0.3), 1] },
    yaxis: { title: { text: "accuracy (test)" } }, shapes: [line(data.recalls[Number(range.value)])],
    showlegend: true,
  }, { responsive: true, displaylogo: false });
  range.oninput = show;
  show();
}
for (const root of document.querySelectorAll(".slider")) slider(root);
// Charts are drawn when they come near the window, so that a report on many classes opens quickly.
const near = new IntersectionObserver(entries => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) {
    near.unobserve(target);
    if (target.draw) { target.draw(); continue; }
    const figure = JSON.parse(document.getElementById(target.dataset.figure).textContent);
    Plotly.newPlot(target, figure.data, figure.layout, { responsive: true, displaylogo: false });
  }
}, { rootMargin: "600px" });
for (const chart of document.querySelectorAll(".chart, .slider")) near.observe(chart);
