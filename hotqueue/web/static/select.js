// The boxes by which rows of a list are selected: all of a page at once, and how many are.
'use strict';
(() => {
  const boxes = () => [...document.querySelectorAll('#selection tbody [type=checkbox]')];
  function count() {
    const all = document.getElementById('all'), said = document.getElementById('picked');
    if (!all) return;
    const number = boxes().filter((box) => box.checked).length;
    all.closest('label').hidden = false;
    all.checked = number > 0 && number === boxes().length; all.indeterminate = number > 0 && !all.checked;
    said.textContent = `${number} selected`;
    document.querySelectorAll('#selection .bar button:not([type])').forEach((button) => { button.disabled = !number; });
  }
  document.addEventListener('change', (event) => {
    if (event.target.id === 'all') boxes().forEach((box) => { box.checked = event.target.checked; });
    if (event.target.closest('#selection')) count();
  });
  document.addEventListener('shown', () => { count(); setTimeout(count); }); // live.js has the buttons pressed again behind it
  count();
})();
