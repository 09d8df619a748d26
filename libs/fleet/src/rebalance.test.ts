import { describe, expect, it } from 'vitest';
import { candidate, container, GIB } from './example-candidates.ts';
import { rebalance } from './rebalance.ts';

/** Containers of these sizes, in GiB, on a host of 16 GiB that holds nothing else. */
const host = (name: string, sizes: readonly number[], more = {}) =>
  candidate(name, {
    facts: { memoryAvailable: (16 - sizes.reduce((sum, size) => sum + size, 0)) * GIB, imagesFree: 32 * GIB },
    containers: sizes.map((size, at) => container(`${name}-${at}`, size * GIB)),
    ...more,
  });

const moves = (...hosts: ReturnType<typeof host>[]) =>
  rebalance(hosts).map(({ container: id, to }) => `${id} -> ${to}`);

describe('rebalance', () => {
  it.each([
    ['what would even out two hosts', [host('host1', [6, 4, 2]), host('host2', [])], ['host1-0 -> host2']],
    ['nothing where all is even', [host('host1', [4]), host('host2', [4])], []],
    ['nothing that would only turn the tables', [host('host1', [12]), host('host2', [])], []],
    ['nothing to a drained host', [host('host1', [6, 6]), host('host2', [], { drained: true })], []],
    ['nothing to a host that is away', [host('host1', [6, 6]), host('host2', [], { state: 'offline' })], []],
    ['nothing in an empty fleet', [], []],
  ])('proposes %s', (_, hosts, expected) => expect(moves(...hosts)).toEqual(expected));

  it('reckons each move on what those before it have changed', () => {
    const proposals = rebalance([host('host1', [4, 4, 4]), host('host2', []), host('host3', [])]);
    expect(new Set(proposals.map(({ to }) => to))).toEqual(new Set(['host2', 'host3']));
    expect(proposals[0]).toMatchObject({ fromUse: [0.75, 0.5], toUse: [0, 0.25], memory: 4 * GIB });
  });
});
