"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const chooser = document.getElementById("emotion"), told = document.getElementById("told");
const say = (value, digits = 3) => value === null ? "no score" : (value >= 0 ? "+" : "\u2212") + Math.abs(value / 1000).toFixed(digits);
for (const name of data.emotions) element("option", name, chooser);
document.getElementById("least").textContent = say(-data.limit);
document.getElementById("most").textContent = say(data.limit);
function element(kind, text, parent) {
  const made = document.createElement(kind);
  made.textContent = text;
  parent.append(made);
  return made;
}
function draw() {
  const place = chooser.selectedIndex, main = document.getElementById("blocks");
  main.replaceChildren();
  for (const block of data.blocks) {
    if (block.emotion !== null && block.emotion !== place) continue;
    const column = block.emotion === null ? place : 0;
    element("h2", block.title, main);
    const whole = element("p", block.score.length ? (block.score[column] === null ? "" : "score ") + say(block.score[column]) : "", main);
    const z = block.z?.[column] ?? null;
    if (z !== null) element("span", " (z " + say(z, 1) + ")", whole).title = "z: " + data.z_means;
    whole.append(block.about);
    const line = element("div", "", main);
    line.className = "tokens";
    block.tokens.forEach((token, index) => {
      const value = block.scores[column][index], span = element("span", token, line);
      span.className = "token " + (value < 0 ? "away" : "toward");
      span.style.setProperty("--share", Math.min(1, Math.abs(value) / data.limit).toFixed(3));
      const words = "\u201c" + token + "\u201d: " + data.emotions[place] + " " + say(value);
      span.addEventListener("mouseenter", () => { told.textContent = words; });
      span.addEventListener("click", () => { told.textContent = words; });
    });
  }
}
chooser.addEventListener("change", draw);
draw();
