/** The fleet: what needs somebody first, then hosts, then migrations. */
import type { FleetChange, FleetFacts, FleetView, HostCard, MigrationCard } from '../view/fleet-view.ts';
import { boardNow, hear } from './clock.ts';
import { el, type Child } from './element.ts';
import { hostCard } from './host-card.ts';
import { morphChildren } from './morph.ts';
import { pill, wordOf } from './pill.ts';
import { listen } from './stream.ts';
import { strip } from './strip.ts';
import { duration, moment } from './words.ts';

/** What is known, and what the reader wants to see of it. */
let facts: FleetFacts | null = null;
const hosts = new Map<string, HostCard>();
const migrations = new Map<string, MigrationCard>();
let wanted = '';
let away: number | null = null;

export function showFleet(main: HTMLElement): void {
  const draw = (): void => morphChildren(main, page());
  main.addEventListener('input', ({ target }) => {
    if (!(target instanceof HTMLInputElement)) return;
    wanted = target.value.trim().toLowerCase();
    draw();
  });
  listen('/live/fleet', ['fleet', 'change'], (event, data) => {
    if (event === 'fleet') takeWhole(data as FleetView);
    if (event === 'change') takeChange(data as FleetChange);
    away = event === 'away' ? (data as { at: number }).at : null;
    draw();
  });
  draw();
}

function takeWhole(view: FleetView): void {
  hosts.clear();
  migrations.clear();
  takeChange({ ...view, goneHosts: [], goneMigrations: [] });
}

function takeChange(change: FleetChange): void {
  facts = change.facts;
  hear(facts.at);
  for (const name of change.goneHosts) hosts.delete(name);
  for (const id of change.goneMigrations) migrations.delete(id);
  for (const host of change.hosts) hosts.set(host.name, host);
  for (const migration of change.migrations) migrations.set(migration.id, migration);
}

function page(): Node[] {
  if (facts === null) return [el('p', { class: 'waiting' }, 'Looking at the fleet …')];
  const now = boardNow();
  const all = [...migrations.values()].sort((a, b) => b.requestedAt - a.requestedAt);
  const seen = all.filter(({ id, container, from, to, state }) =>
    matches(id, container, from, to, wordOf(state)),
  );
  const names = [...hosts.values()].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  const shown = names.filter((host) =>
    matches(
      host.name,
      ...Object.entries(host.labels).map((pair) => pair.join('=')),
      ...host.containers.map(({ id }) => id),
    ),
  );
  document.title = facts.underWay > 0 ? `cmt: ${facts.underWay} under way` : 'cmt: the fleet';
  return [
    el('h1', {}, 'Fleet'),
    summary(facts, names),
    ...notices(facts, all),
    el(
      'p',
      { class: 'find' },
      el('label', { for: 'find' }, 'Find'),
      el('input', {
        id: 'find',
        type: 'search',
        placeholder: 'host, container, label or state',
        autocomplete: 'off',
      }),
    ),
    section('hosts', 'Hosts', shown.length, hostGrid(shown, all, now)),
    section(
      'under-way',
      'Under way',
      ...listed(
        seen.filter(({ ended }) => !ended),
        now,
        'Nothing is under way.',
      ),
    ),
    section(
      'ended',
      'Ended',
      ...listed(
        seen.filter(({ ended }) => ended),
        now,
        'Nothing has ended yet.',
      ),
    ),
  ];
}

const matches = (...words: readonly string[]): boolean =>
  wanted === '' || words.some((word) => word.toLowerCase().includes(wanted));

function summary({ underWay, waiting, coordinator }: FleetFacts, all: readonly HostCard[]): HTMLElement {
  const online = all.filter(({ state }) => state === 'online').length;
  const drained = all.filter((host) => host.drained).length;
  const tile = (name: string, value: string, tone = '') =>
    el('div', { class: `tile ${tone}` }, el('dt', {}, name), el('dd', {}, value));
  return el(
    'dl',
    { class: 'tiles' },
    tile('Hosts online', `${online} of ${all.length}`, online < all.length ? 'warn' : ''),
    tile('Drained', String(drained)),
    tile('Under way', String(underWay), underWay > 0 ? 'busy' : ''),
    tile('Waiting', String(waiting)),
    tile('Coordinator', coordinator ? 'there' : 'none', coordinator ? '' : 'bad'),
  );
}

function notices({ coordinator }: FleetFacts, all: readonly MigrationCard[]): HTMLElement[] {
  const stuck = all.filter(({ state }) => state === 'needs-operator');
  const lost =
    away === null
      ? []
      : [`Redis does not answer since ${moment(away, boardNow())}. This is how things stood then.`];
  const idle = coordinator ? [] : ['Nobody takes migrations from the queue: start `cmt coordinator`.'];
  return [
    ...[...lost, ...idle].map((text) => el('p', { class: 'notice', role: 'alert', 'data-key': text }, text)),
    ...stuck.map(({ id, container, failure }) =>
      el(
        'p',
        { class: 'notice bad', 'data-key': `stuck-${id}` },
        el('a', { href: `/migrations/${id}` }, `${container} needs you`),
        `: ${failure?.message ?? 'nobody may decide alone'}`,
      ),
    ),
  ];
}

const section = (id: string, title: string, count: number, content: Child): HTMLElement =>
  el(
    'section',
    { 'data-key': id, 'aria-labelledby': `of-${id}` },
    el('h2', { id: `of-${id}` }, title, el('span', { class: 'count' }, String(count))),
    content,
  );

function hostGrid(shown: readonly HostCard[], all: readonly MigrationCard[], now: number): HTMLElement {
  if (shown.length === 0)
    return el(
      'p',
      { class: 'empty' },
      hosts.size === 0 ? 'No host has announced itself: start `cmt worker` on one.' : 'No host is called so.',
    );
  const open = all.filter(({ ended, state }) => !ended && state !== 'queued');
  const traffic = (name: string) => ({
    leaving: open.filter(({ from }) => from === name).length,
    arriving: open.filter(({ to }) => to === name).length,
  });
  return el(
    'div',
    { class: 'grid' },
    shown.map((host) => hostCard(host, traffic(host.name), now)),
  );
}

const listed = (cards: readonly MigrationCard[], now: number, empty: string): [number, Child] => [
  cards.length,
  cards.length === 0
    ? el('p', { class: 'empty' }, wanted === '' ? empty : 'No migration is like that.')
    : el(
        'ul',
        { class: 'migrations' },
        cards.map((card) => migrationRow(card, now)),
      ),
];

function migrationRow(card: MigrationCard, now: number): HTMLElement {
  const { id, container, from, to, state, step, ended, failure, blackoutMs, totalMs, requestedAt } = card;
  const meta = [
    blackoutMs === null ? '' : `stood still for ${duration(blackoutMs)}`,
    ended ? `${duration(totalMs)} in all` : '',
    `asked at ${moment(requestedAt, now)}`,
  ];
  return el(
    'li',
    { class: 'card migration', 'data-key': id },
    el(
      'header',
      {},
      el('a', { class: 'cover', href: `/migrations/${id}` }, container),
      el(
        'span',
        { class: 'route' },
        `${from} `,
        el('span', { 'aria-hidden': 'true' }, '→'),
        el('span', { class: 'unseen' }, 'to'),
        ` ${to}`,
      ),
      pill(state),
    ),
    strip(card.strip),
    el(
      'p',
      { class: 'sub' },
      ended || step === null ? null : el('strong', {}, `${step}, `),
      meta.filter((words) => words !== '').join(', '),
    ),
    failure === null ? null : el('p', { class: 'why' }, el('code', {}, failure.code), ` ${failure.message}`),
  );
}
