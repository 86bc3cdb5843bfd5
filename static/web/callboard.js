// Behaviour only. Every page works without this file; nothing here draws the page.
const $ = (s, r = document) => r.querySelector(s);
const $$ = (s, r = document) => [...r.querySelectorAll(s)];
const root = document.documentElement;
const typing = (el) => el.closest('input:not([type="checkbox"],[type="radio"]), textarea, select, [contenteditable]');

/* Theme. The server renders data-theme from the cookie, so there is no flash; the buttons are a form without this. */
const setTheme = (t) => {
  root.dataset.theme = t;
  document.cookie = `callboard_theme=${t};path=/;max-age=31536000;samesite=lax${location.protocol === 'https:' ? ';secure' : ''}`;
  $$('[data-theme-set]').forEach((b) => b.setAttribute('aria-pressed', b.dataset.themeSet === t));
};

/* Say it: one polite live region for the page. */
const say = (text) => { const r = $('#say'); if (r) { r.textContent = ''; setTimeout(() => { r.textContent = text; }, 30); } };

/* Palette: combobox with a listbox, focus stays in the input (ARIA APG). */
const palette = $('#palette');
const openPalette = () => { if (palette && !palette.open) { palette.showModal(); $('input', palette).select(); pick(0); } };
const hits = () => palette ? $$('[role="option"]', palette).filter((h) => !h.hidden) : [];
function pick(i) {
  const list = hits();
  if (!list.length) return;
  const n = (i + list.length) % list.length;
  list.forEach((h, j) => h.setAttribute('aria-selected', j === n));
  list[n].scrollIntoView({ block: 'nearest' });
  $('input', palette).setAttribute('aria-activedescendant', list[n].id);
}
palette?.addEventListener('keydown', (e) => {
  const at = hits().findIndex((h) => h.getAttribute('aria-selected') === 'true');
  if (e.key === 'ArrowDown') { e.preventDefault(); pick(at + 1); }
  if (e.key === 'ArrowUp') { e.preventDefault(); pick(at - 1); }
  if (e.key === 'Enter' && hits()[at]) { e.preventDefault(); location.href = hits()[at].dataset.href; }
});
palette?.addEventListener('click', (e) => {
  if (e.target === palette) palette.close();
  const hit = e.target.closest('[role="option"]');
  if (hit) location.href = hit.dataset.href;
});

/* The text of a numbered listing, without the numbers. */
const lines = (list) => $$('li > code', list).map((c) => c.textContent.replace(/\n$/, '')).join('\n');

/* Clicks, delegated. */
document.addEventListener('click', async (e) => {
  const el = e.target.closest('[data-copy],[data-theme-set],[data-open],[data-close],[data-toggle],[data-star]');
  if (!el) return;
  if (el.dataset.copy !== undefined) {
    const from = el.dataset.copyFrom && $(el.dataset.copyFrom);
    const text = from ? lines(from) : el.dataset.copy || el.closest('.code')?.querySelector('pre')?.innerText || '';
    try { await navigator.clipboard.writeText(text.trim()); say('Copied'); } catch { say('Select and copy: the browser refused the clipboard'); }
  }
  if (el.dataset.themeSet) { e.preventDefault(); setTheme(el.dataset.themeSet); }
  if (el.dataset.open === 'palette' && palette) { e.preventDefault(); openPalette(); }
  else if (el.dataset.open) $(`#${el.dataset.open}`)?.showModal();
  if (el.dataset.close !== undefined) el.closest('dialog, .toast')?.[el.closest('dialog') ? 'close' : 'remove']();
  if (el.dataset.toggle) {
    const on = el.getAttribute('aria-pressed') !== 'true';
    el.setAttribute('aria-pressed', on);
    $(el.dataset.target)?.classList.toggle(el.dataset.toggle, on);
  }
  if (el.dataset.star !== undefined) {
    const on = el.getAttribute('aria-pressed') !== 'true';
    el.setAttribute('aria-pressed', on);
    const use = $('use', el);
    use?.setAttribute('href', use.getAttribute('href').replace(/#.*/, on ? '#star-on' : '#star'));
    say(on ? 'Starred' : 'Star removed');
  }
});

/* Selection: count what is ticked, show the bulk bar. */
document.addEventListener('change', (e) => {
  const box = e.target;
  if (box.matches('[data-pick-all]')) $$('[data-pick]').forEach((b) => { b.checked = box.checked; });
  if (box.matches('[data-pick], [data-pick-all]')) {
    const n = $$('[data-pick]:checked').length;
    const bar = $('.bulk');
    if (bar) { bar.hidden = !n; $('[data-n]', bar).textContent = `${n} selected`; say(`${n} selected`); }
  }
  /* Conditional fields: the server sends the fragment; the prototype only shows it. */
  if (box.name) $$(`[data-when^="${box.name}="]`).forEach((f) => { f.hidden = f.dataset.when !== `${box.name}=${box.value}`; });
});

/* Provenance opens on hover for pointers, on click and Enter for everyone. */
if (matchMedia('(hover: hover)').matches) $$('.prov[popovertarget]').forEach((b) => {
  const p = document.getElementById(b.getAttribute('popovertarget'));
  let t;
  b.addEventListener('mouseenter', () => { t = setTimeout(() => p.showPopover?.({ source: b }), 250); });
  b.addEventListener('mouseleave', () => { clearTimeout(t); p.hidePopover?.(); });
});

/* An impatient double click sends a form once. */
let sent = { at: 0 };
document.addEventListener('submit', (e) => {
  if (e.target.method !== 'post') return;
  if (sent.by === e.submitter && e.timeStamp - sent.at < 1000) e.preventDefault();
  else sent = { by: e.submitter, at: e.timeStamp };
});

/* What is cut off says all of it on hover. */
document.addEventListener('mouseover', ({ target: t }) => {
  if (!t.title && t.scrollWidth > t.clientWidth && getComputedStyle(t).textOverflow === 'ellipsis') t.title = t.innerText.trim();
});

/* Keys. Off inside fields, off when the person turned them off in settings. */
let lead = 0;
const goto = (key) => $(`a[aria-keyshortcuts="g ${key}"]`);
const ask = () => { const box = $('[data-search]'); if (box?.offsetParent) box.focus(); else $('.topbar a[href$="#q"]')?.click(); };
document.addEventListener('keydown', (e) => {
  if ((e.metaKey || e.ctrlKey) && e.key.toLowerCase() === 'k') { e.preventDefault(); if (palette) openPalette(); else ask(); return; }
  if (root.dataset.keys === 'off' || e.metaKey || e.ctrlKey || e.altKey || typing(e.target) || $('dialog[open]:not(.inline)')) return;
  if (Date.now() - lead < 900 && /^[a-z]$/.test(e.key) && goto(e.key)) { lead = 0; goto(e.key).click(); return; }
  if (e.key === 'g') { lead = Date.now(); return; }
  if (e.key === '/') { e.preventDefault(); ask(); return; }
  const rows = $$('[data-row]');
  if (rows.length && (e.key === 'j' || e.key === 'k')) {
    const at = rows.indexOf(document.activeElement);
    rows[Math.max(0, Math.min(rows.length - 1, at + (e.key === 'j' ? 1 : -1)))].focus();
  }
  if (e.key === 'x') document.activeElement?.closest('tr')?.querySelector('[data-pick]')?.click();
  const tab = $('.tabs [aria-current]');
  if (tab && e.key === ']') tab.nextElementSibling?.click();
  if (tab && e.key === '[') tab.previousElementSibling?.click();
});

/* Filters are replaced with the list: what a person opened or closed stays so. */
const folds = new Map();
document.addEventListener('click', (e) => {
  const fold = e.target.closest('summary')?.parentElement;
  if (fold?.id) folds.set(fold.id, !fold.open);
});
document.addEventListener('htmx:afterSettle', () => folds.forEach((open, id) => {
  const fold = document.getElementById(id);
  if (fold) fold.open = open;
}));
