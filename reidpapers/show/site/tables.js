/* Sorts a table by a column whose head is clicked, and filters the rows of a long one; on paper nothing is folded. Pages
   say all without it. */
window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(fold => { fold.open = true; }));
for (const table of document.querySelectorAll("table.results, table.records")) {
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const text = (row, column) => row.cells[column] ? row.cells[column].innerText.trim() : "";
  const number = value => parseFloat(value.replace("−", "-").replace(/,/g, ""));
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const order = (first, second) => {
        const [a, b] = [text(first, column), text(second, column)], [x, y] = [number(a), number(b)];
        if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;
        return (up ? 1 : -1) * (isNaN(x) ? a.localeCompare(b) : x - y);
      };
      body.append(...rows.slice().sort(order));
    });
  });
  if (rows.length < 12) continue;
  const field = document.createElement("input");
  Object.assign(field, { type: "search", placeholder: "filter rows", className: "filter" });
  field.setAttribute("aria-label", "filter the rows of " + table.caption.innerText.split(".")[0]);
  field.addEventListener("input", () => rows.forEach(row => {
    row.hidden = !row.innerText.toLowerCase().includes(field.value.toLowerCase());
  }));
  table.parentElement.before(field);
}
