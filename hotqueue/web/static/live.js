// Keeps a page as the server has it: fetches it again, and replaces only what changed, so that scroll, selection, focus, what is
// open and what is being written stay. Without it every page and every form works as well.
'use strict';
(() => {
  const $ = (id) => document.getElementById(id);
  const pulse = $('pulse'), every = $('every'), lost = $('lost');
  let timer = 0, etag = '', running = null, sending = 0, failures = 0;

  // --- one tree made like another -------------------------------------------------------------------------------

  const keyOf = (node) => node.nodeType === 1 ? node.id || node.dataset.key || '' : '';
  const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

  const isMine = (node) => node.nodeType === 1 && node.dataset.mine !== undefined; // a script on the page looks after it

  function attributes(old, now) {
    const isKept = (name) => (name === 'open' && old.nodeName === 'DETAILS') || (name === 'value' && old === document.activeElement);
    for (const {name} of [...old.attributes]) if (!now.hasAttribute(name) && !isKept(name)) old.removeAttribute(name);
    for (const {name, value} of [...now.attributes]) if (old.getAttribute(name) !== value && !isKept(name)) old.setAttribute(name, value);
  }

  function morph(old, now) {
    if (old.nodeType !== 1) { if (old.nodeValue !== now.nodeValue) old.nodeValue = now.nodeValue; return; }
    if (old.isEqualNode(now)) return;
    if (isMine(old)) return;
    attributes(old, now);
    if (old.id === 'said' && !now.firstElementChild && old.firstElementChild) return; // it goes by itself
    const byKey = new Map();
    for (const child of old.children) if (keyOf(child)) byKey.set(keyOf(child), child);
    let at = old.firstChild;
    for (const child of [...now.childNodes]) {
      const key = keyOf(child);
      const same = key ? byKey.get(key) : at && alike(at, child) ? at : null;
      if (same && alike(same, child)) {
        if (same === at) at = at.nextSibling; else old.insertBefore(same, at);
        morph(same, child);
      } else {
        old.insertBefore(document.importNode(child, true), at);
      }
    }
    while (at) { const next = at.nextSibling; if (!isMine(at)) at.remove(); at = next; }
  }

  function show(html) {
    const now = new DOMParser().parseFromString(html, 'text/html');
    for (const part of document.querySelectorAll('[data-live]')) {
      const other = now.getElementById(part.id);
      if (other) morph(part, other);
    }
    document.title = now.title;
    forget();
    document.dispatchEvent(new CustomEvent('shown'));
  }

  let forgetting = 0;
  function forget() { // what an action said stays for a while
    if (!$('said').firstElementChild || forgetting) return;
    forgetting = setTimeout(() => { $('said').replaceChildren(); forgetting = 0; }, 9000);
  }

  // --- again and again ------------------------------------------------------------------------------------------

  async function refresh() {
    if (running || sending || !document.querySelector('[data-live]')) return; // else what was so before an action would be shown behind it
    running = new AbortController();
    const giveUp = setTimeout(() => running && running.abort(), 15000);
    pulse.classList.add('now');
    try {
      const headers = {'X-Live': '1', ...(etag ? {'If-None-Match': etag} : {})};
      const answer = await fetch(location.href, {headers, signal: running.signal, cache: 'no-store', redirect: 'follow'});
      if (answer.status === 401) { location.reload(); return; }
      if (answer.status === 503) throw new Error('Redis cannot be reached. What is shown is old.');
      if (answer.status !== 304) { const html = await answer.text(); etag = answer.headers.get('ETag') || ''; if (running) show(html); }
      failures = 0; lost.hidden = true; pulse.classList.remove('lost');
    } catch (error) {
      if (error.name !== 'AbortError' || running) {
        failures++;
        lost.textContent = error.message.startsWith('Redis') ? error.message : 'The dashboard does not answer. What is shown is old.';
        lost.hidden = false; pulse.classList.add('lost');
      }
    }
    clearTimeout(giveUp); pulse.classList.remove('now'); running = null;
    again();
  }

  const trouble = () => document.querySelector('.trouble');
  function again() {
    clearTimeout(timer);
    const seconds = trouble() ? 2 : Number(every.value);
    pulse.classList.toggle('off', !seconds);
    if (seconds && !document.hidden && document.querySelector('[data-live]')) timer = setTimeout(refresh, 1000 * seconds * Math.min(8, 2 ** failures));
  }

  document.addEventListener('visibilitychange', () => { if (document.hidden) clearTimeout(timer); else if (Number(every.value)) refresh(); });
  every.addEventListener('change', () => { try { localStorage.setItem('hotqueue.every', every.value); } catch {} again(); });
  try { const kept = localStorage.getItem('hotqueue.every'); every.value = [...every.options].some((o) => o.value === kept) ? kept : '2'; } catch { every.value = '2'; }
  every.closest('label').hidden = false;
  if (!document.querySelector('.login')) again(); else every.closest('label').hidden = true;
  forget();

  const nav = $('nav'), shown = nav?.querySelector('[aria-current]'); // on a phone the pages are one row, wider than the screen
  if (shown) nav.scrollLeft += shown.getBoundingClientRect().right + 40 - nav.getBoundingClientRect().right;

  // --- forms that do something: sent from here, so that the page stays where it is ------------------------------

  document.addEventListener('submit', async (event) => {
    const form = event.target;
    if (form.method !== 'post' || !form.matches('.act')) return;
    event.preventDefault();
    const buttons = form.querySelectorAll('button');
    const body = new URLSearchParams(new FormData(form, event.submitter));
    buttons.forEach((button) => { button.disabled = true; });
    sending++;
    if (running) { running.abort(); running = null; }
    try {
      const action = event.submitter?.hasAttribute('formaction') ? event.submitter.formAction : form.action;
      const answer = await fetch(action, {method: 'POST', body, cache: 'no-store'});
      const html = await answer.text();
      etag = '';
      clearTimeout(forgetting); forgetting = 0;
      const here = new URL(location.href), there = new URL(answer.url);
      form.closest('[popover]')?.hidePopover();
      if (there.pathname !== here.pathname && answer.redirected) { location.assign(there); return; }
      show(html);
    } catch {
      lost.textContent = 'The dashboard does not answer: nobody knows whether that was done.'; lost.hidden = false;
    }
    buttons.forEach((button) => { button.disabled = false; });
    sending--;
    again();
  });

  // --- keys ---------------------------------------------------------------------------------------------------------

  document.addEventListener('keydown', (event) => {
    const typing = event.target.closest('input, select, textarea, [contenteditable]');
    if (event.key === 'Escape' && typing) typing.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const pages = document.querySelectorAll('#nav a');
    if (/^[1-9]$/.test(event.key) && pages[event.key - 1]) pages[event.key - 1].click();
    else if (event.key === '/') { const field = document.querySelector('input[type=search]'); if (field) { event.preventDefault(); field.focus(); field.select(); } }
    else if (event.key === '?') $('keys').togglePopover();
    else if (event.key === 'r') refresh();
    else if (event.key === 'j' || event.key === 'k') {
      const links = [...document.querySelectorAll('main .list tbody tr')].map((row) => row.querySelector('a')).filter(Boolean);
      const next = links.indexOf(document.activeElement) + (event.key === 'j' ? 1 : -1);
      (links[next] || links[event.key === 'j' ? 0 : links.length - 1])?.focus();
    }
  });
})();
