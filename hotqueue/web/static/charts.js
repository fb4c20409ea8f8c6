// Values of a chart under the pointer, or under a cursor that arrow keys move. The numbers are in the page: data-tips.
'use strict';
(() => {
  let tip, line, chart, column = -1;

  function hide() { tip?.remove(); line?.remove(); tip = line = chart = undefined; column = -1; }

  function show(svg, at) {
    const tips = JSON.parse(svg.dataset.tips);
    if (!tips.length) return;
    at = Math.max(0, Math.min(tips.length - 1, at));
    if (chart !== svg) hide();
    chart = svg; column = at;
    const plot = svg.closest('.plot'), box = svg.getBoundingClientRect(), outer = plot.getBoundingClientRect();
    if (!tip) {
      tip = document.createElement('div'); tip.className = 'tip'; tip.dataset.mine = '';
      line = document.createElement('div'); line.className = 'cursor'; line.dataset.mine = '';
      plot.append(line, tip);
      tip.setAttribute('role', 'status');
    }
    const [head, ...rows] = tips[at].split('\n');
    tip.replaceChildren(Object.assign(document.createElement('strong'), {textContent: head}), ...rows.map((row) => {
      const p = document.createElement('p'), [name, value] = row.split('\t');
      p.append(Object.assign(document.createElement('span'), {textContent: name}), Object.assign(document.createElement('b'), {textContent: value ?? ''}));
      return p;
    }));
    const x = box.left - outer.left + box.width * (at + 0.5) / tips.length;
    line.style.left = `${x}px`; line.style.top = `${box.top - outer.top}px`; line.style.height = `${box.height}px`;
    const width = tip.offsetWidth;
    tip.style.left = `${Math.max(0, x + 12 + width > outer.width ? x - 12 - width : x + 12)}px`;
    tip.style.top = `${box.top - outer.top + 6}px`;
  }

  document.addEventListener('pointermove', (event) => {
    const svg = event.target.closest?.('.plot svg');
    if (!svg) { if (chart && document.activeElement !== chart) hide(); return; }
    const box = svg.getBoundingClientRect();
    show(svg, Math.floor((event.clientX - box.left) / box.width * JSON.parse(svg.dataset.tips).length));
  });
  document.addEventListener('keydown', (event) => {
    const svg = event.target.closest?.('.plot svg'), step = {ArrowLeft: -1, ArrowRight: 1, Home: -1e6, End: 1e6}[event.key];
    if (event.key === 'Escape') hide();
    if (!svg || !step) return;
    event.preventDefault();
    show(svg, (chart === svg ? column : JSON.parse(svg.dataset.tips).length) + step);
  });
  document.addEventListener('focusout', (event) => { if (event.target === chart) hide(); });
  document.addEventListener('shown', () => { if (chart) { if (chart.isConnected && tip.isConnected) show(chart, column); else hide(); } });
})();
