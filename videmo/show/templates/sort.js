
(function () {
  "use strict";
  var table = document.querySelector("table.sortable");
  if (!table) { return; }
  var body = table.tBodies[0];
  var heads = table.querySelectorAll("thead th");
  var said = document.getElementById("said");
  function key(row, column) { return row.cells[column].getAttribute("data-key"); }
  function compare(a, b, numeric) {
    if (numeric) {
      if (a === "") { return b === "" ? 0 : 1; }
      if (b === "") { return -1; }
      return Number(a) - Number(b);
    }
    return a.localeCompare(b, undefined, { numeric: true });
  }
  heads.forEach(function (head, column) {
    var button = head.querySelector("button");
    if (!button) { return; }
    button.addEventListener("click", function () {
      var up = head.getAttribute("aria-sort") !== "ascending";
      var numeric = head.classList.contains("number");
      var rows = Array.prototype.slice.call(body.rows);
      rows.sort(function (x, y) {
        var a = key(x, column), b = key(y, column);
        if (numeric && (a === "" || b === "")) { return compare(a, b, true); }
        return up ? compare(a, b, numeric) : compare(b, a, numeric);
      });
      rows.forEach(function (row) { body.appendChild(row); });
      heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      said.textContent = "Sorted by " + button.textContent + ", " + (up ? "rising" : "falling");
    });
  });
  var find = document.getElementById("find");
  find.addEventListener("input", function () {
    var wanted = find.value.toLowerCase(), shown = 0;
    Array.prototype.forEach.call(body.rows, function (row) {
      row.hidden = row.textContent.toLowerCase().indexOf(wanted) < 0;
      shown += row.hidden ? 0 : 1;
    });
    said.textContent = shown + " of " + body.rows.length + " clips shown";
  });
}());
