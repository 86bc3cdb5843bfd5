// Names for what unfold leaves without one. Pickers and scroll areas are made by scripts, now and when a row is added.
const name = () => {
  document.querySelectorAll('select.select2-hidden-accessible').forEach((select) => {
    const box = select.nextElementSibling?.querySelector('.select2-selection__rendered:not([aria-label])');
    const label = select.getAttribute('aria-label') || select.labels[0]?.innerText.replace('*', '').trim();
    box?.setAttribute('aria-label', label || 'Choice');
  });
  document.querySelector('#nav-sidebar-apps [role="region"]')?.setAttribute('aria-label', 'Sections');
};
addEventListener('DOMContentLoaded', () => new MutationObserver(name).observe(document.body, { childList: true, subtree: true }));
addEventListener('load', name);
