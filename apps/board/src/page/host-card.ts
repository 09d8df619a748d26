/** One host of the fleet. */
import type { HostCard } from '../view/fleet-view.ts';
import { el, svg, type Child } from './element.ts';
import { pill } from './pill.ts';
import { many, moment, size } from './words.ts';

/** Moves under way with that host at one end. */
export interface Traffic {
  readonly leaving: number;
  readonly arriving: number;
}

export function hostCard(host: HostCard, { leaving, arriving }: Traffic, now: number): HTMLElement {
  const title = `host-${host.name}`;
  return el(
    'article',
    { class: `card host ${host.state}`, 'data-key': host.name, 'aria-labelledby': title },
    el(
      'header',
      {},
      el('h3', { id: title }, host.name),
      el('span', { class: 'pills' }, host.drained ? pill('drained') : null, pill(host.state)),
    ),
    el(
      'p',
      { class: 'sub' },
      `${host.address}, ${many(host.cpus, 'CPU')}`,
      host.silentSince === null ? null : `, silent since ${moment(host.silentSince, now)}`,
    ),
    host.problem === null ? null : el('p', { class: 'problem' }, host.problem),
    memory(host),
    containers(host),
    leaving + arriving === 0
      ? null
      : el(
          'p',
          { class: 'traffic' },
          [leaving > 0 ? `${leaving} leaving` : '', arriving > 0 ? `${arriving} arriving` : '']
            .filter((words) => words !== '')
            .join(', '),
        ),
    labels(host),
    el(
      'details',
      {},
      el('summary', {}, 'Software and space'),
      el('p', { class: 'sub' }, `${host.software.join(', ')}. ${size(host.imagesFree)} free for images.`),
    ),
  );
}

function memory({ memoryTotal, memoryAvailable }: HostCard): Child {
  const used = Math.max(0, memoryTotal - memoryAvailable);
  const share = memoryTotal > 0 ? Math.min(100, (100 * used) / memoryTotal) : 0;
  const words = `${size(used)} of ${size(memoryTotal)}`;
  return el(
    'div',
    { class: 'memory' },
    el('span', { class: 'label' }, 'Memory'),
    svg(
      'svg',
      { class: 'gauge', role: 'img', 'aria-label': `${words} of memory in use` },
      svg('rect', { class: 'gauge-whole', width: '100%', height: '100%', rx: 3 }),
      svg('rect', {
        class: share > 90 ? 'gauge-part tight' : 'gauge-part',
        width: `${share.toFixed(1)}%`,
        ...{ height: '100%', rx: 3 },
      }),
    ),
    el('span', { class: 'amount' }, words),
  );
}

function containers({ containers: named, containerCount }: HostCard): Child {
  const more = containerCount - named.length;
  return el(
    'div',
    { class: 'containers' },
    el('span', { class: 'label' }, many(containerCount, 'container')),
    containerCount === 0
      ? null
      : el(
          'ul',
          { class: 'chips' },
          named.map(({ id, status }) =>
            el(
              'li',
              { class: status === 'running' ? 'chip' : 'chip idle' },
              status === 'running' ? id : `${id} (${status})`,
            ),
          ),
          more > 0 ? el('li', { class: 'chip idle' }, `${more} more`) : null,
        ),
  );
}

function labels({ labels: all }: HostCard): Child {
  const pairs = Object.entries(all);
  if (pairs.length === 0) return null;
  return el(
    'ul',
    { class: 'chips', 'aria-label': 'Labels' },
    pairs.map(([name, value]) => el('li', { class: 'chip tag' }, `${name}=${value}`)),
  );
}
