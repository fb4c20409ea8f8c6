// The filter bar: offers how one may go on, as one types.
'use strict';
(() => {
  const field = document.getElementById('q'), list = document.getElementById('offers');
  let asked = 0, chosen = -1, isFresh = false; // fresh: the list is of what stands in the field

  const unmark = () => { chosen = -1; field.removeAttribute('aria-activedescendant'); for (const item of list.children) item.removeAttribute('aria-selected'); };
  const close = () => { list.hidden = true; unmark(); field.setAttribute('aria-expanded', 'false'); };
  function mark(number) {
    const items = [...list.children];
    if (!items.length) return;
    chosen = (number + items.length) % items.length;
    items.forEach((item, n) => item.setAttribute('aria-selected', n === chosen));
    items[chosen].scrollIntoView({block: 'nearest'});
    field.setAttribute('aria-activedescendant', items[chosen].id);
  }
  function take(item) {
    field.value = item.dataset.text;
    field.setSelectionRange(+item.dataset.cursor, +item.dataset.cursor);
    field.focus();
    typed();
  }
  function typed() { unmark(); isFresh = false; offer(); } // what was marked is not taken behind more letters
  async function offer() {
    const mine = ++asked;
    try {
      const answer = await fetch(`${field.dataset.offers}?q=${encodeURIComponent(field.value)}&at=${field.selectionStart}`, {headers: {'X-Live': '1'}});
      const now = new DOMParser().parseFromString(answer.ok ? await answer.text() : '', 'text/html');
      if (mine !== asked || document.activeElement !== field) return;
      const marked = list.children[chosen]?.dataset.text;
      list.replaceChildren(...[...now.querySelectorAll('li')].map((each) => document.importNode(each, true)));
      unmark(); isFresh = true; list.hidden = !list.children.length;
      const at = [...list.children].findIndex((item) => item.dataset.text === marked);
      if (at >= 0) mark(at);
      field.setAttribute('aria-expanded', String(!list.hidden));
    } catch { close(); }
  }
  field.setAttribute('role', 'combobox'); field.setAttribute('aria-controls', 'offers'); close();
  field.addEventListener('input', typed);
  field.addEventListener('blur', () => setTimeout(close, 150));
  field.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') { event.preventDefault(); if (list.hidden) offer(); else mark(chosen + (event.key === 'ArrowDown' ? 1 : -1)); }
    else if ((event.key === 'Enter' && chosen >= 0) || (event.key === 'Tab' && isFresh && !list.hidden && !event.shiftKey && list.children.length)) { event.preventDefault(); take(list.children[Math.max(0, chosen)]); }
    else if (event.key === 'Escape' && !list.hidden) { event.preventDefault(); event.stopPropagation(); close(); }
  });
  list.addEventListener('mousedown', (event) => { const item = event.target.closest('li'); if (item) { event.preventDefault(); take(item); } });
})();
