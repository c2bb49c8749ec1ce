
"use strict";
(function () {
  var table = document.getElementById("list");
  if (table) {
    var body = table.tBodies[0];
    var rows = Array.prototype.slice.call(body.rows);
    var value = function (row, column) {
      var cell = row.cells[column];
      return cell.hasAttribute("data-value") ? cell.getAttribute("data-value") : cell.textContent;
    };
    var sort = function (header, column) {
      var up = header.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("th").forEach(function (other) { other.removeAttribute("aria-sort"); });
      header.setAttribute("aria-sort", up ? "ascending" : "descending");
      var numbers = header.getAttribute("data-sort") === "n";
      rows.sort(function (a, b) {
        var x = value(a, column), y = value(b, column);
        var order = numbers ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true });
        return up ? order : -order;
      });
      rows.forEach(function (row) { body.appendChild(row); });
    };
    table.querySelectorAll("thead th").forEach(function (header, column) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = header.textContent;
      button.addEventListener("click", function () { sort(header, column); });
      header.textContent = "";
      header.appendChild(button);
    });
    var tools = document.createElement("div");
    tools.className = "tools";
    var label = document.createElement("label");
    label.textContent = "Filter ";
    var search = document.createElement("input");
    search.type = "search";
    search.id = "filter";
    label.appendChild(search);
    tools.appendChild(label);
    var shown = document.createElement("output");
    var boxes = [];
    var apply = function () {
      var words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      var count = 0;
      rows.forEach(function (row) {
        var text = row.textContent.toLowerCase();
        var box = boxes.find(function (b) { return row.classList.contains(b.value); });
        var fits = (!box || box.checked) && words.every(function (word) { return text.includes(word); });
        row.hidden = !fits;
        count += fits ? 1 : 0;
      });
      shown.textContent = count + " of " + rows.length + " shown";
    };
    ["error", "warning", "unknown", "allowed", "settled", "worked"].forEach(function (status) {
      if (!body.querySelector("tr." + status)) { return; }
      var choice = document.createElement("label");
      var box = document.createElement("input");
      box.type = "checkbox";
      box.checked = true;
      box.value = status;
      box.addEventListener("change", apply);
      boxes.push(box);
      choice.appendChild(box);
      choice.appendChild(document.createTextNode(" " + status));
      tools.appendChild(choice);
    });
    tools.appendChild(shown);
    search.addEventListener("input", apply);
    document.addEventListener("keydown", function (event) {
      if (event.key === "/" && document.activeElement !== search) {
        event.preventDefault();
        search.focus();
      }
    });
    table.parentNode.parentNode.insertBefore(tools, table.parentNode);
    apply();
  }
  var open = function () {
    var target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") { target.open = true; }
  };
  window.addEventListener("hashchange", open);
  open();
})();
