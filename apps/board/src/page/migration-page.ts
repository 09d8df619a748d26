/** One migration: how it stands, its rows against time, why it failed and what to do, everything that was told. */
import type { Fact, MigrationView } from '../view/migration-view.ts';
import { boardNow, hear } from './clock.ts';
import { el, type Child } from './element.ts';
import { keepingEnd, keepLines, logOf } from './log.ts';
import { morphChildren } from './morph.ts';
import { pill, wordOf } from './pill.ts';
import { listen } from './stream.ts';
import { strip } from './strip.ts';
import { timeline, type Zoom } from './timeline.ts';
import { duration, moment } from './words.ts';

let view: MigrationView | null | undefined;
let zoom: Zoom = 'whole';
let away: number | null = null;

/** Milliseconds between two pictures while something is under way. */
const REDRAW_MS = 250;

export function showMigration(main: HTMLElement, id: string): void {
  const draw = (): void => keepingEnd(main.querySelector('.log'), () => morphChildren(main, page(id)));
  main.addEventListener('click', ({ target }) => {
    const asked = target instanceof HTMLElement ? target.dataset['zoom'] : undefined;
    if (asked !== 'whole' && asked !== 'blackout') return;
    zoom = asked;
    draw();
  });
  listen(`/live/migrations/${encodeURIComponent(id)}`, ['migration', 'lines'], (event, data) => {
    if (event === 'migration') take(data as MigrationView | null);
    if (event === 'lines') keepLines(data as Parameters<typeof keepLines>[0]);
    away = event === 'away' ? (data as { at: number }).at : null;
    draw();
  });
  setInterval(() => {
    if (view?.ended === false && away === null && !document.hidden) draw();
  }, REDRAW_MS);
  draw();
}

function take(told: MigrationView | null): void {
  view = told;
  if (told !== null) hear(told.at);
}

function page(id: string): Node[] {
  const back = el('p', { class: 'back' }, el('a', { href: '/' }, 'All of the fleet'));
  if (view === undefined) return [back, el('p', { class: 'waiting' }, `Looking at ${id} …`)];
  if (view === null)
    return [back, el('h1', {}, id), el('p', { class: 'empty' }, 'Nobody knows a migration of that name.')];
  const now = boardNow();
  document.title = `${view.container}: ${wordOf(view.state)}`;
  return [
    back,
    heading(view, now),
    ...notices(view, now),
    part('Steps', timeline(view.timeline, zoom, now)),
    ...(view.blackoutParts.length === 0 ? [] : [part('Where the blackout went', blackout(view))]),
    ...(view.findings.length === 0 ? [] : [part('Findings', findings(view))]),
    ...(view.hooks.length === 0 ? [] : [part('Hooks', hooks(view))]),
    part('Asked and decided', facts([['id', view.id], ...view.facts])),
    part('Told', logOf(now)),
  ];
}

const part = (title: string, content: Child): HTMLElement =>
  el('section', { 'data-key': title, 'aria-label': title }, el('h2', {}, title), content);

function heading(known: MigrationView, now: number): HTMLElement {
  const { container, from, to, state, step, ended, totalMs, requestedAt } = known;
  const passed = ended ? totalMs : Math.max(0, now - known.timeline.from);
  const tile = (name: string, value: string) =>
    el('div', { class: 'tile' }, el('dt', {}, name), el('dd', {}, value));
  return el(
    'header',
    { class: 'headline' },
    el('h1', {}, container),
    el(
      'p',
      { class: 'route' },
      `${from} `,
      el('span', { 'aria-hidden': 'true' }, '→'),
      el('span', { class: 'unseen' }, 'to'),
      ` ${to}`,
    ),
    el('p', { 'aria-live': 'polite' }, pill(state), ended || step === null ? null : ` at ${step}`),
    el(
      'dl',
      { class: 'tiles' },
      tile(ended ? 'Took' : 'Under way for', duration(passed)),
      tile('Stood still', stillFor(known, now)),
      tile('Asked at', moment(requestedAt, now)),
    ),
  );
}

/** The span between freeze and release is known when both hosts have compared their clocks; until then, an upper bound. */
function stillFor({ blackoutMs, timeline: { blackout: still, placed } }: MigrationView, now: number): string {
  if (blackoutMs !== null) return duration(blackoutMs);
  if (still === null) return placed ? 'not at all' : 'not known';
  return `at most ${duration((still.to ?? now) - still.from)}`;
}

function notices({ failure, alarms }: MigrationView, now: number): HTMLElement[] {
  const lost =
    away === null
      ? []
      : [
          el(
            'p',
            { class: 'notice', role: 'alert', 'data-key': 'away' },
            `Redis does not answer since ${moment(away, now)}. This is how things stood then.`,
          ),
        ];
  const raised = alarms.map(({ host, text }) =>
    el(
      'p',
      { class: 'notice bad', role: 'alert', 'data-key': `alarm-${host}` },
      el('strong', {}, `Alarm from ${host}: `),
      text,
    ),
  );
  if (failure === null) return [...lost, ...raised];
  return [
    ...lost,
    ...raised,
    el(
      'section',
      { class: 'notice bad', 'data-key': 'failure', 'aria-label': 'Why it failed' },
      el('p', {}, el('code', {}, failure.code), ` ${failure.message}`),
      el('p', { class: 'remedy' }, el('strong', {}, 'What to do: '), failure.remedy),
      failure.log === null
        ? null
        : el('details', {}, el('summary', {}, 'End of the log'), el('pre', { tabindex: 0 }, failure.log)),
    ),
  ];
}

const blackout = ({ blackoutParts }: MigrationView): Child => [
  strip(blackoutParts.map(({ name, ms }) => ({ kind: 'blackout', name, ms }))),
  facts(blackoutParts.map(({ name, ms }): Fact => [name, duration(ms)])),
];

const facts = (all: readonly Fact[]): HTMLElement =>
  el(
    'dl',
    { class: 'facts' },
    all.map(([name, value]) => el('div', { 'data-key': name }, el('dt', {}, name), el('dd', {}, value))),
  );

const findings = ({ findings: all }: MigrationView): HTMLElement =>
  el(
    'ul',
    { class: 'findings' },
    all.map(({ code, severity, host, message, remedy }) =>
      el(
        'li',
        { class: severity },
        el('p', {}, el('code', {}, code), ` ${host}: ${message}`),
        el('p', { class: 'sub' }, remedy),
      ),
    ),
  );

const hooks = ({ hooks: all }: MigrationView): HTMLElement =>
  facts(
    all.map(({ name, ok, ms }): Fact => [
      name,
      `${ok ? 'ended well' : 'failed'} after ${duration(ms)}; output hidden`,
    ]),
  );
