// Opens large pictures over the page. Without it, their links lead to the end of the page.
(() => {
  const viewer = document.getElementById("viewer");
  if (!viewer.showModal) return;
  document.documentElement.classList.add("scripted");
  const [previous, close, next] = viewer.querySelectorAll("button");
  const picture = new Image();
  viewer.querySelector("figure").prepend(picture);
  const words = viewer.querySelector("figcaption span");
  const file = viewer.querySelector("figcaption a");
  let links = [], place = 0;

  const show = (to) => {
    if (to < 0 || to >= links.length) return;
    place = to;
    const link = links[place], target = link.getAttribute("href");
    const large = target[0] === "#" && document.getElementById(target.slice(1));
    picture.src = large ? large.querySelector("img").src : target;
    picture.alt = link.querySelector("img")?.alt ?? link.textContent;
    words.textContent = link.title;
    file.hidden = !link.dataset.file;
    if (link.dataset.file) file.href = link.dataset.file;
    [previous.disabled, next.disabled] = [place === 0, place === links.length - 1];
    if (document.activeElement.disabled) close.focus();
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.open");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    links = [...link.closest("ul").querySelectorAll("a.open")];
    show(links.indexOf(link));
    viewer.showModal();
    close.focus();
  });
  picture.addEventListener("error", () => {
    words.textContent = `${links[place].title}. This page cannot show the file.`;
  });
  viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());
  viewer.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") show(place - 1);
    if (event.key === "ArrowRight") show(place + 1);
  });
  viewer.addEventListener("close", () => links[place].focus());
  previous.addEventListener("click", () => show(place - 1));
  next.addEventListener("click", () => show(place + 1));
  close.addEventListener("click", () => viewer.close());
})();
