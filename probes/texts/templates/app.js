// A token says its scores when it is clicked, tapped or reached by keyboard; one token of a text is
// a tab stop, and the arrow keys go on from there.
document.addEventListener("focusin", (event) => {
  const token = event.target.closest(".token");
  if (!token) return;
  const all = token.parentElement;
  all.querySelectorAll(".token[tabindex='0']").forEach((other) => (other.tabIndex = -1));
  token.tabIndex = 0;
  all.nextElementSibling.textContent = token.title;
});
document.addEventListener("keydown", (event) => {
  const token = event.target.closest?.(".token");
  if (!token) return;
  const all = token.parentElement;
  const next = {
    ArrowRight: token.nextElementSibling,
    ArrowLeft: token.previousElementSibling,
    Home: all.firstElementChild,
    End: all.lastElementChild,
  }[event.key];
  if (!next) return;
  event.preventDefault();
  next.focus();
});
