// What script adds to pages that work without it: dialogs, the toast's timer,
// marking rows, copying, keys. Nothing here decides anything.
'use strict';
(() => {
  const root = document.documentElement;
  root.classList.add('js');

  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const by = (id) => document.getElementById(id);
  const visible = (el) => el && el.isConnected && el.checkVisibility({ contentVisibilityAuto: true, visibilityProperty: true });

  // Live regions. Text is set a moment later, so that a reader notices the change.
  const announce = (text, region = 'live-region') => {
    const el = by(region);
    if (!el || !text) return;
    el.textContent = '';
    requestAnimationFrame(() => { el.textContent = text; });
  };

  // Dialogs: <dialog id="dialog"> comes filled from the server and is shown here.
  let opener = null;
  const show = (dialog, from) => {
    if (from && !from.closest('dialog')) opener = from;
    all('details.menu[open]').forEach((menu) => { menu.open = false; });
    if (!dialog.open) dialog.showModal();
    (dialog.querySelector('[autofocus]') || by('dialog-title') || dialog).focus();
    dress(dialog);
  };
  const closed = () => {
    const back = [opener, opener && opener.closest('details')?.querySelector('summary'),
      opener && opener.closest('section')?.querySelector('h2[tabindex]'), by('main')].find(visible);
    opener = null;
    if (back) back.focus();
  };
  document.addEventListener('close', (e) => { if (e.target.id === 'dialog') closed(); }, true);
  document.addEventListener('click', (e) => {
    const dialog = e.target.closest('dialog#dialog[open]');
    if (!dialog) return;
    const box = dialog.getBoundingClientRect();
    const outside = e.target === dialog && e.detail > 0 &&
      (e.clientX < box.left || e.clientX > box.right || e.clientY < box.top || e.clientY > box.bottom);
    if (outside || e.target.closest('[data-close]')) {
      e.preventDefault();
      dialog.close();
    }
  });

  // Menus are <details>; one is open at a time, Esc and a click elsewhere close it.
  document.addEventListener('click', (e) => {
    all('details.menu[open]').forEach((menu) => { if (!menu.contains(e.target)) menu.open = false; });
  });
  document.addEventListener('keydown', (e) => {
    const menu = e.target.closest && e.target.closest('details.menu[open]');
    if (!menu) return;
    if (e.key === 'Escape') {
      menu.open = false;
      menu.querySelector('summary').focus();
      e.preventDefault();
    } else if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      const stops = all('summary, a, button, select, input', menu).filter(visible);
      const step = e.key === 'ArrowDown' ? 1 : stops.length - 1;
      if (e.target.tagName === 'SELECT') return;
      stops[(stops.indexOf(e.target) + step) % stops.length].focus();
      e.preventDefault();
    }
  });

  // What cannot be done now says why, and does nothing.
  document.addEventListener('click', (e) => {
    if (!e.target.closest('[aria-disabled=true]')) return;
    e.preventDefault();
    e.stopImmediatePropagation();
  }, true);

  // A day and a number of days exclude each other; the one chosen last counts.
  document.addEventListener('change', (e) => {
    const form = e.target.closest('[data-postpone]');
    if (!form) return;
    if (e.target.name === 'choice') form.elements.date.value = '';
    if (e.target.name === 'date') all('[name=choice]', form).forEach((c) => { c.checked = !e.target.value && c.value === '7'; });
  }, true);

  // Small things by attribute.
  document.addEventListener('change', (e) => {
    if (e.target.matches('[data-submit]')) e.target.form.requestSubmit();
    if (e.target.matches('[data-select-all]')) {
      all('input[name=item]', e.target.closest('table')).forEach((box) => { box.checked = e.target.checked; });
    }
    if (e.target.closest('#rows')) marked();
  });
  document.addEventListener('input', (e) => {
    const form = e.target.closest('[data-typed]');
    if (form) fits(form);
    if (e.target.matches('[data-slug]')) {
      const name = e.target.form.querySelector('[data-slug-name]');
      if (name) name.textContent = e.target.value.trim();
    }
  });
  document.addEventListener('click', async (e) => {
    const button = e.target.closest('[data-copy]');
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.dataset.state = 'copied';
      announce('Copied');
      setTimeout(() => { delete button.dataset.state; }, 1500);
    } catch { announce('Copying is not allowed here', 'alert-region'); }
  });

  // The confirmation's button can be pressed once the text fits; the server checks.
  const fits = (form) => {
    const button = form.querySelector('[data-confirm]');
    button.disabled = form.elements.typed.value.trim() !== form.dataset.typed;
  };

  // Marked rows show the bar.
  const marked = () => {
    const bar = document.querySelector('[data-bulk]');
    if (!bar) return;
    const n = all('#rows input[name=item]:checked').length;
    const text = bar.querySelector('[data-bulk-count]');
    text.textContent = n + ' selected';
    text.dataset.value = n;
    bar.hidden = n === 0;
    const held = all('#rows input[name=item]:checked[data-held]').length;
    all('[data-only=held]', bar).forEach((button) => { button.hidden = held === 0; });
    all('[data-not=held]', bar).forEach((button) => {
      const none = n > 0 && held === n;
      if (none) button.setAttribute('aria-disabled', 'true'); else button.removeAttribute('aria-disabled');
      by(button.getAttribute('aria-describedby')).hidden = !none;
    });
    all('[data-select-all]').forEach((head) => {
      const boxes = all('input[name=item]', head.closest('table'));
      const on = boxes.filter((b) => b.checked).length;
      head.checked = on > 0 && on === boxes.length;
      head.indeterminate = on > 0 && on < boxes.length;
    });
  };

  // The toast goes by itself; while it is looked at or the tab is hidden it waits.
  const toast = () => {
    const el = document.querySelector('[data-toast]');
    if (!el) return;
    const whole = Number(el.dataset.toast) * 1000;
    let left = whole;
    let last = performance.now();
    const bar = el.querySelector('progress');
    const seconds = el.querySelector('.seconds');
    const gone = () => { clearInterval(timer); el.remove(); };
    const timer = setInterval(() => {
      const now = performance.now();
      if (!document.hidden && !el.matches(':hover, :focus-within') && !document.querySelector('dialog[open]')) left -= now - last;
      last = now;
      if (left <= 0) { gone(); return; }
      bar.value = 100 * left / whole;
      seconds.textContent = Math.ceil(left / 1000) + ' s';
    }, 100);
    el.querySelector('[data-testid=toast-dismiss]').addEventListener('click', gone);
    announce(el.querySelector('.toast-text').textContent.trim());
  };

  // dress finishes what the server drew: local times in tooltips, buttons, bars.
  const dress = (part) => {
    all('time[datetime]:not([data-local])', part).forEach((t) => {
      t.dataset.local = '';
      const local = new Date(t.dateTime).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
      t.title = (t.title ? t.title + ', ' : '') + 'here: ' + local;
    });
    all('[data-typed]', part).forEach(fits);
    marked();
    live();
  };

  // A list with rows that are being deleted looks again, unless somebody is at it.
  let again = 0;
  const live = () => {
    clearTimeout(again);
    const list = document.querySelector('[data-live]');
    if (!list) return;
    again = setTimeout(() => {
      if (document.hidden || document.querySelector('dialog[open], #list details[open], #rows input:checked') || list.contains(document.activeElement)) {
        live();
        return;
      }
      window.htmx.ajax('GET', list.dataset.live, { target: '#list', select: '#list', swap: 'outerHTML' });
    }, 3000);
  };

  let told = -1;
  document.addEventListener('htmx:afterSettle', (e) => { // only now does what is in it answer
    if (e.target.id === 'dialog') show(e.target, e.detail.requestConfig && e.detail.requestConfig.elt);
  });
  document.addEventListener('htmx:afterSwap', (e) => {
    const el = e.target;
    if (el.id === 'dialog') return;
    dress(el);
    const found = el.querySelector('[data-announce]');
    if (found) announce(found.textContent.trim());
    const progress = el.querySelector('[data-announce-progress]');
    if (progress) {
      const step = Math.floor(Number(progress.dataset.value) * 10);
      if (step !== told) announce(step * 10 + ' % ' + (progress.dataset.announceProgress || 'deleted'));
      told = step;
    }
  });
  document.addEventListener('htmx:sendError', () => announce('The server cannot be reached; nothing was changed.', 'alert-region'));

  // Keys, unless they are switched off or somebody writes.
  let g = 0;
  document.addEventListener('keydown', (e) => {
    if (root.dataset.shortcuts === 'off' || e.ctrlKey || e.metaKey || e.altKey || document.querySelector('dialog:modal')) return;
    if (e.target.closest('input, select, textarea, [contenteditable]')) return;
    const base = root.dataset.base;
    const to = { p: base, t: base && base + '/settings/trash' }[e.key];
    if (Date.now() - g < 1500 && to) { g = 0; location.href = to; return; }
    g = e.key === 'g' ? Date.now() : 0;
    if (e.key === '/') {
      const search = document.querySelector('[data-search]');
      if (search) { e.preventDefault(); search.focus(); search.select(); }
    } else if (e.key === '?') location.href = '/app/-/help';
  });

  document.addEventListener('DOMContentLoaded', () => {
    toast();
    dress(document);
    const first = document.querySelector('[data-testid=form-errors], [data-testid=purge-stale], [data-testid=sign-in-error]');
    if (first) first.focus();
  });
})();
