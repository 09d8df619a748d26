import { MigrationRequest } from '@cmt/contracts';
import { describe, expect, it } from 'vitest';
import { initial, type Saga } from './state.ts';
import { sagaIn } from './stored.ts';

const request = MigrationRequest.parse({
  ...{ v: 1, id: 'm1', container: 'db', source: 'alpha', target: 'beta', options: {}, requestedAt: 0 },
});
const saga = initial(request, 5);
const stored = (more: object = {}): unknown => JSON.parse(JSON.stringify({ ...saga, ...more }));

describe('what is stored of a migration', () => {
  it('is nothing, or a saga', () => {
    expect(sagaIn(null, request)).toBeNull();
    expect(sagaIn(stored(), request)).toEqual(saga);
  });

  it('is a saga where an older cmt stored it, which knew fewer fields', () => {
    const { hooks, passedOver, findings, ...older } = saga;
    expect([hooks, passedOver, findings]).toEqual([[], [], []]);
    expect(sagaIn(older, request)).toEqual(older);
  });

  it.each([
    ['text', '{"stage":"prep'],
    ['a number', 7],
    ['a list', [saga]],
    ['nothing of a saga', {}],
    ['of another format', stored({ v: 2 })],
    ['at a stage that nobody knows', stored({ stage: 'teleport' })],
    ['at a hook that nobody asked for', stored({ stage: 'pre-freeze' })],
    ['without a request', stored({ request: null })],
    ['without its outcome', stored({ stage: 'switch', outcome: null })],
    ['with steps of no sense', stored({ steps: 'many' })],
    ['at an epoch of no sense', stored({ epoch: 'last' } satisfies Partial<Record<keyof Saga, unknown>>)],
  ])('is damaged where it is %s', (_, damaged) => {
    expect(sagaIn(damaged, request)).toBe('damaged');
  });
});
