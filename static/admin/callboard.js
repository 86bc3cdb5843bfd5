// Names for what unfold leaves without one. Pickers and scroll areas are made by scripts, so this waits for them.
addEventListener('load', () => {
  document.querySelectorAll('.select2-selection__rendered:not([title])').forEach((box) => { box.title = box.innerText.trim(); });
  document.querySelector('#nav-sidebar-apps [role="region"]')?.setAttribute('aria-label', 'Sections');
});
