// The sessions page. All of it works without this file; this file puts dialogs in place of the question
// page, lets time run, reads the list again without a reload, and helps to tick. It keeps nothing and
// asks nobody but the addresses that the page's own forms name. Its words are those of words.rs.

const $ = id => document.getElementById(id);
let announcing;
const main = $('main'), status = $('status'), notice = $('notice'), dialog = $('ask');
const rows = () => [...main.querySelectorAll('tbody tr[id]')];
const box = row => row.querySelector('input');
const id = row => box(row).value;
const action = row => row.querySelector('button');
const isCurrent = row => row.classList.contains('current');
const isExpired = row => row.classList.contains('expired');
const label = row => row.querySelector('b').textContent;
// Device and address, as the tick box is called after its first word.
const name = row => box(row).ariaLabel.slice(7);
const address = row => row.cells[4].textContent;
const count = (number, word) => `${number} ${word}${number == 1 ? '' : 's'}`;
const put = (node, text) => { if (node.textContent != text) node.textContent = text; };
// The one line that says what happened; whatever was about to be said before is left out.
const tell = text => {
  clearTimeout(announcing);
  status.className = '';
  put(status, text);
};
const element = (tag, text, type) => Object.assign(document.createElement(tag), { textContent: text, className: type ?? '' });
const policy = self.trustedTypes?.createPolicy('lastseen', { createHTML: page => page }) ?? { createHTML: page => page };

// Time. What counts is the server's time at the reading and the time that has passed here since; what
// the device's own clock says changes nothing.

let readAt, readTime, over = false;
const readingAt = at => { readAt = at; readTime = +main.dataset.now; };
const passed = () => performance.now() - readAt;
const now = () => readTime + passed();

const format = options => {
  const { format } = new Intl.DateTimeFormat(undefined, options);
  return at => format(at);
};
const minute = { hour: '2-digit', minute: '2-digit' };
const day = { day: 'numeric', month: 'short', year: 'numeric', ...minute };
const clock = format(minute);
const clockExact = format({ ...minute, second: '2-digit' });
const date = format(day);
const dateInZone = format({ ...day, timeZoneName: 'short' });
const dateExact = format({ ...day, second: '2-digit', timeZoneName: 'short' });
// Days of the visitor's calendar, which daylight saving makes 23 or 25 hours long.
const dayNumber = at => {
  const local = new Date(at);
  return Date.UTC(local.getFullYear(), local.getMonth(), local.getDate()) / 864e5;
};

function ago(at) {
  const minutes = Math.floor((now() - at) / 6e4), days = dayNumber(now()) - dayNumber(at);
  if (minutes < 1) return 'now';
  if (minutes < 60) return `${minutes} min ago`;
  if (!days || minutes < 360) return `${Math.floor(minutes / 60)} h ago`;
  if (days == 1) return `yesterday ${clock(at)}`;
  return days < 7 ? `${days} days ago` : date(at);
}

function timeLeft(seconds, long) {
  const minutes = Math.floor(seconds / 60), days = Math.floor(minutes / 1440), hours = Math.floor(minutes / 60) % 24;
  if (minutes < 1) return 'less than a minute left';
  const part = (number, short, word) => long ? count(number, word) : `${number} ${short}`;
  return (days ? part(days, 'd', 'day') + ' ' : '') + (days || hours ? part(hours, 'h', 'hour') + ' ' : '')
    + part(minutes % 60, 'min', 'minute') + ' left';
}

function expire(row) {
  row.classList.add('expired');
  row.querySelectorAll('i').forEach(mark => mark.remove());
  row.cells[3].append(' ', element('i', 'Expired', 'over'));
  const timer = row.querySelector('[role=timer]');
  timer.textContent = timer.ariaLabel = 'Expired';
  Object.assign(action(row), { textContent: 'Remove', value: `remove:${id(row)}`, className: '' });
}

let wall = Date.now(), steady = performance.now();
function tick() {
  const exact = $('exact').checked;
  for (const row of rows()) {
    const [used, expires] = row.querySelectorAll('time');
    for (const [time, short] of [[used, ago], [expires, dateInZone]]) {
      const at = Date.parse(time.dateTime);
      put(time, exact ? dateExact(at) : short(at));
      time.title = dateExact(at);
    }
    if (isExpired(row)) continue;
    const left = row.dataset.left - passed() / 1000;
    // The server rounded down: only a second after zero is it certain that the deadline has passed, and
    // that asking cannot count as a use.
    if (left > -1) {
      const timer = row.querySelector('[role=timer]');
      put(timer, timeLeft(left));
      timer.ariaLabel = timeLeft(left, true);
      if (left < row.dataset.soon && !row.querySelector('.soon')) row.cells[3].append(' ', element('i', 'Expires soon', 'soon'));
    } else if (!isCurrent(row)) {
      expire(row);
      showTicks();
    } else if (!over) {
      over = true;
      // Where the server cannot be asked, the deadline has passed all the same.
      read({ quiet: true }).then(done => done ? over = false : signedOut());
      return;
    }
  }
  if (passed() > 3e5 && notice.hidden) say(`From ${clock(readTime)}.`);
  // After sleep the clocks disagree.
  if (Date.now() - wall - performance.now() + steady > 5000) read({ quiet: true });
  wall = Date.now();
  steady = performance.now();
}

// Reading the list.

function say(text, button) {
  notice.replaceChildren(text, ...(button ? [' ', Object.assign(element('button', button), { id: 'again' })] : []));
  notice.hidden = !text;
}

// Asks for a page. Nothing comes back where nobody is signed in any more; a failure is thrown as a sentence.
async function load(url, options) {
  let answer;
  try {
    answer = await fetch(url, { ...options, headers: { Accept: 'text/html' } });
  } catch {
    throw 'The server could not be reached.';
  }
  const at = performance.now();
  if (answer.status == 401) return;
  if (answer.status == 429) throw `Too many tries. Again in ${answer.headers.get('Retry-After')} s.`;
  if (!answer.ok) throw answer.status == 503 ? 'The server cannot answer at the moment.' : 'The server refused.';
  if (answer.redirected && new URL(answer.url).pathname != here.pathname) return;
  return { at, page: new DOMParser().parseFromString(policy.createHTML(await answer.text()), 'text/html') };
}

function signedOut(leave) {
  if (!$('ended')) return;
  over = true;
  clearInterval(timer);
  const { signIn } = main.dataset;
  document.querySelector('.top nav')?.remove();
  main.replaceChildren($('ended').content);
  main.querySelector('h1').focus();
  if (leave) location.assign(signIn);
}

// Puts what was read in place of what is shown. Ticks and focus stay where their rows are.
function show({ at, page }) {
  const ticked = new Set(rows().filter(row => box(row).checked).map(id));
  const active = document.activeElement, row = active.closest('tr')?.id, tag = active.localName;
  Object.assign(main.dataset, page.getElementById('main').dataset);
  $('summary').replaceChildren(...page.getElementById('summary').childNodes);
  $('all').replaceWith(page.getElementById('all'));
  $('live').replaceChildren(...page.getElementById('live').childNodes);
  $('live').hidden = false;
  for (const row of rows()) box(row).checked = ticked.delete(id(row));
  lastBox = undefined;
  readingAt(at);
  say('');
  start();
  // What had the focus may have been replaced by its like.
  if (!active.isConnected) (row ? $(row)?.querySelector(tag) : $(active.id))?.focus();
  return ticked.size;
}

let reading;
function read(options) {
  return reading ??= readOnce(options ?? {}).finally(() => reading = undefined);
}

async function readOnce({ quiet, said }) {
  const button = $('refresh'), before = rows().map(id), total = +main.dataset.total;
  if (!quiet) put(button, 'Refreshing…');
  $('live').ariaBusy = 'true';
  try {
    const answer = await load(here);
    if (!answer) return signedOut(!quiet);
    const lost = show(answer);
    // An id begins with the time of its session, so a later one than all before is a new session.
    const fresh = rows().map(id).filter(id => !before.includes(id) && before.every(other => other < id)).length;
    const gone = total + fresh - main.dataset.total;
    const changes = [fresh && `${fresh} new`, gone > 0 && `${gone} gone`].filter(Boolean).join(', ') || 'Nothing changed';
    if (!quiet || fresh || gone > 0) tell(said?.() ?? `Up to date, ${clockExact(now())}. ${changes}.${lost ? ` ${lost} of the ticked went.` : ''}`);
    return true;
  } catch (reason) {
    say(`The list could not be read. What you see is from ${clock(readTime)}.`, 'Try again');
    tell(typeof reason == 'string' ? reason : 'The list could not be read.');
  } finally {
    put(button, 'Refresh');
    if ($('live')) $('live').ariaBusy = 'false';
  }
}

// Ticks.

let lastBox;
// Ids and names of what matches a rule and is not shown.
let unseen = new Map();
const rules = {
  unused: row => 'unused' in row.dataset,
  expired: isExpired,
  address: row => !isCurrent(row) && address(row) == ruleAddress(),
};
// The address of the ticked rows where they have one in common, else one's own.
function ruleAddress() {
  const [first, ...others] = new Set(rows().filter(row => box(row).checked).map(address));
  return first && !others.length ? first : address(rows()[0]);
}

const chosen = () => rows().filter(row => box(row).checked);

function showTicks() {
  const all = rows(), ticked = chosen(), number = ticked.length + unseen.size;
  put($('count'), `${number} selected`);
  put($('selected'), `Terminate ${count(number, 'Session')}`);
  $('selected').disabled = !number;
  for (const part of ['count', 'clear', 'selected']) $(part).hidden = !number;
  for (const row of all) row.classList.toggle('ticked', box(row).checked);
  for (const head of main.querySelectorAll('#each, .group input')) {
    const of = members(head), on = of.filter(row => box(row).checked).length;
    head.hidden = !of.length;
    head.checked = on && on == of.length;
    head.indeterminate = on && on < of.length;
  }
  for (const button of $('rules').children) {
    const found = all.filter(rules[button.value]).length;
    const number = all.length < main.dataset.total ? Math.max(found, button.dataset.total ?? 0) : found;
    button.hidden = !number;
    put(button, `${button.textContent.split(' (')[0]} (${number})`);
    if (button.value == 'address') button.title = ruleAddress();
  }
  $('rules').hidden = ![...$('rules').children].some(button => !button.hidden);
}

// The rows that a tick box in the head, or above a group, stands for.
const members = head => rows().filter(row => head.id ? !isCurrent(row) : row.dataset.group == head.value);

function ticksChanged() {
  showTicks();
  clearTimeout(announcing);
  // Seen in the bar already.
  announcing = setTimeout(() => {
    tell(`${chosen().length + unseen.size} selected`);
    status.className = 'heard';
  }, 500);
}

function tickAll(which, on = true) {
  for (const row of which) box(row).checked = on;
  ticksChanged();
}

function clearTicks() {
  unseen.clear();
  $('every').hidden = true;
  tickAll(rows(), false);
}

function tickRule(button) {
  tickAll(rows().filter(rules[button.value]));
  const total = +button.dataset.total;
  const whole = rows().length >= main.dataset.total || total <= chosen().length;
  $('every').hidden = whole;
  put($('every'), total ? `Select all ${total} that match` : 'Select all that match');
  $('every').value = button.value;
}

// Finds what matches beyond the rows that are shown, by reading the list part by part.
async function tickUnseen(rule) {
  const shown = new Set(rows().map(id)), found = new Map(), wanted = ruleAddress();
  const matches = rule == 'address' ? row => !isCurrent(row) && address(row) == wanted : rules[rule];
  try {
    for (let from = 0; from < main.dataset.total;) {
      const answer = await load(`${here.pathname}?shown=200&from=${from}`);
      if (!answer) return signedOut(true);
      const part = [...answer.page.querySelectorAll('tbody tr[id]')];
      if (!part.length) break;
      for (const row of part) if (matches(row) && !shown.has(id(row))) found.set(id(row), name(row));
      from += part.length;
    }
    unseen = found;
    $('every').hidden = true;
    ticksChanged();
  } catch (reason) {
    tell(`${reason}`);
  }
}

// Ending.

function ask(title, text, button) {
  put($('ask-title'), title);
  $('ask-text').replaceChildren(...text);
  put(dialog.querySelector('.end'), button);
  dialog.returnValue = '';
  const from = document.activeElement, row = from.closest('tr')?.id;
  dialog.showModal();
  return new Promise(answer => dialog.onclose = () => {
    // The list may have been read anew meanwhile.
    if (!from.isConnected) (row ? action($(row) ?? rows()[0]) : $(from.id))?.focus();
    answer(dialog.returnValue == 'yes');
  });
}

// What depends on the whole list is said by the server, which has it.
const texts = () => $('all').dataset;

function questionOne(row) {
  const text = element('p');
  text.append(element('b', label(row)), `${name(row).slice(label(row).length)}, last used ${ago(Date.parse(row.querySelector('time').dateTime))}. It is signed out at once.`);
  return ask('Terminate this session?', [text], 'Terminate');
}

function questionSeveral(ticked) {
  const all = [...ticked.map(name), ...unseen.values()], number = all.length, list = element('ul');
  const names = all.slice(0, 5);
  if (number > 5) names.push(`and ${number - 5} more`);
  list.append(...names.map(text => element('li', text)));
  const text = [list, element('p', 'Hold Ctrl (⌘ on a Mac) to skip this question.', 'hint')];
  if (ticked.some(isCurrent)) {
    const warning = element('p');
    warning.append(element('b', `${number == 1 ? 'This' : 'One of them'} is the session you are using: you will be signed out here.`));
    text.unshift(warning);
  }
  return ask(`Terminate ${count(number, 'session')}?`, text, `Terminate ${count(number, 'Session')}`);
}

// One press of a button that ends something. `skip` is a held Ctrl or Cmd.
async function press(button, skip) {
  if (!navigator.onLine) return tell(offline);
  const [verb, target] = button.value.split(':');
  const row = target && $(`s-${target}`);
  if (verb == 'one') {
    if (isCurrent(row) ? await ask('Disconnect this device?', [element('p', texts().current)], 'Disconnect') : skip || await questionOne(row)) await end([row], [button.value], () => `Terminated ${label(row)}.`);
  } else if (verb == 'remove') {
    await end([row], [button.value], () => `Removed ${label(row)}.`);
  } else if (verb == 'all') {
    if (await ask('Terminate all other sessions?', [element('p', texts().all)], 'Terminate All')) await end([], ['all']);
  } else {
    const ticked = chosen();
    if (ticked.length + unseen.size && (skip || await questionSeveral(ticked))) await end(ticked, ['selected', ...ticked.map(id), ...unseen.keys()]);
  }
}

let ending = false;
async function end(targets, [verb, ...ids], said) {
  if (ending) return;
  ending = true;
  const order = rows(), first = order.findIndex(row => row.id == targets[0]?.id);
  let number = 0, text;
  try {
    // At most a thousand at once; each part is all or nothing.
    do {
      const part = ids.splice(0, 1000);
      const body = new URLSearchParams([['action', verb], ['confirmed', 'yes'], ...here.searchParams, ...part.map(id => ['id', id])]);
      const answer = await load($('list').getAttribute('action'), { method: 'POST', body });
      if (!answer) return signedOut(true);
      text = answer.page.getElementById('status')?.textContent;
      // A question instead of the list: what was over here is in use again.
      if (!text) return void await read({ said: () => 'That session is in use again. Nothing was terminated.' });
      number += parseInt(text) || 0;
      if (!ids.length) {
        unseen.clear();
        show(answer);
      }
    } while (ids.length);
    tell(said?.() ?? (verb == 'selected' ? `${count(number, 'session')} terminated.` : text));
    if (document.activeElement == document.body || document.activeElement.disabled) {
      // On to the row after the first that went, else the one before, else the title.
      const next = [...order.slice(first), ...order.slice(0, Math.max(first, 0)).reverse()].map(row => $(row.id)).find(Boolean);
      (first >= 0 && next ? action(next) : main.querySelector('h1')).focus();
    }
  } catch (reason) {
    const went = number ? `${count(number, 'session')} terminated, the others not.` : 'Nothing was terminated.';
    tell(typeof reason == 'string' ? `${went} ${reason}` : went);
    for (const row of targets) if ($(row.id) && !row.querySelector('.why')) row.cells[8].prepend(element('i', 'Not terminated', 'why'), ' ');
  } finally {
    ending = false;
  }
}

// Offline.

const offline = 'You are offline. Times keep counting; nothing can be terminated.';
function showConnection() {
  for (const button of main.querySelectorAll('[name=action]')) {
    if (navigator.onLine) button.ariaDisabled = null;
    else Object.assign(button, { ariaDisabled: 'true', title: offline });
    if (navigator.onLine) button.title = '';
  }
  if (!navigator.onLine) say(offline);
  else if (notice.textContent == offline) say('');
}

// What is for the script alone is shown by the script.
function start() {
  for (const part of ['exact', 'each']) $(part).hidden = false;
  $('exact').parentNode.hidden = false;
  tick();
  showTicks();
  showConnection();
}

main.addEventListener('click', event => {
  const { target } = event, button = target.closest('button');
  if (target.type == 'checkbox' && target.name == 'id') {
    const all = rows(), [from, to] = [all.findIndex(row => box(row) == lastBox), all.findIndex(row => box(row) == target)];
    if (event.shiftKey && from >= 0) for (const row of all.slice(Math.min(from, to), Math.max(from, to) + 1)) box(row).checked = target.checked;
    lastBox = target;
    return ticksChanged();
  }
  if (target.closest('#each, .group input')) return tickAll(members(target), target.checked);
  if (target.id == 'exact') return tick();
  if (!button || button.closest('dialog')) return;
  event.preventDefault();
  if (button.name == 'action') press(button, event.ctrlKey || event.metaKey);
  else if (button.id == 'refresh' || button.id == 'again') read();
  else if (button.id == 'clear') clearTicks();
  else if (button.id == 'every') tickUnseen(button.value);
  else if (button.id == 'more') {
    const before = rows().length;
    here.searchParams.set('shown', button.value);
    history.replaceState(null, '', here);
    read({ said: () => `${rows().length} of ${main.dataset.total} shown.` }).then(done => done && rows()[before] && box(rows()[before]).focus());
  } else tickRule(button);
});

document.addEventListener('keydown', event => {
  document.body.classList.toggle('quiet', event.key == 'Escape');
  if (event.key == 'Escape' && !dialog.open && !over && chosen().length) clearTicks();
  // Enter with a held key presses no button by itself.
  const button = event.key == 'Enter' && (event.ctrlKey || event.metaKey) && event.target.closest?.('main [name=action]');
  if (button && !event.repeat) {
    event.preventDefault();
    press(button, true);
  }
});

document.addEventListener('visibilitychange', () => {
  if (document.visibilityState == 'visible' && !over && passed() > 3e4) read({ quiet: true });
});
for (const change of ['online', 'offline']) addEventListener(change, showConnection);
// A page that comes back from the browser's memory shows no row before the server was asked.
addEventListener('pagehide', () => { if (!over) $('live').hidden = true; });
addEventListener('pageshow', event => { if (event.persisted && !over) read({ quiet: true }); });

// What was done is said once: the address forgets it.
const here = new URL(location);
for (const part of ['done', 'n']) here.searchParams.delete(part);
history.replaceState(null, '', here);
readingAt(performance.getEntriesByType('navigation')[0]?.responseStart ?? performance.now());
start();
const timer = setInterval(() => over || tick(), 1000);
