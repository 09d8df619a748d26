import { MigrationRequest, type JournalNote } from '@cmt/contracts';
import { initial, rebuilt, type Journals, type Saga } from '@cmt/saga';
import { describe, expect, it } from 'vitest';
import type { Ports } from './ports.ts';
import { takeUp } from './take-up.ts';

const request = MigrationRequest.parse({
  ...{ v: 1, id: 'm1', container: 'db', sourceBundle: '/srv/db', source: 'alpha', target: 'beta' },
  ...{ options: {}, requestedAt: 0 },
});
const frozen: JournalNote = {
  ...{ migration: 'm1', epoch: 1, side: 'source', phase: 'FROZEN', runtime: 'runc', container: 'db' },
  ...{ bundle: '/srv/db', peer: 'beta', network: { kind: 'none' }, frozenAt: 5, closed: false, updatedAt: 5 },
};
const atFirst: Journals = { source: frozen, target: null };
/** Of a second hand-over, after a first that was turned back. */
const ahead: Journals = {
  source: { ...frozen, epoch: 2 },
  target: { ...frozen, side: 'target', peer: 'alpha', phase: 'RUNNING', epoch: 2 },
};

function take(
  origin: 'asked' | 'journals',
  stored: Saga | 'damaged' | null,
  journals: Journals | ((about: MigrationRequest) => Journals) = atFirst,
  asked: MigrationRequest = request,
) {
  const saved: Saga[] = [];
  const ports = {
    now: () => 9,
    continuity: (mark: string | null) => Promise.resolve(mark === 'unbroken'),
    save: (saga: Saga) => Promise.resolve(void saved.push(saga)),
    tell: () => undefined,
  } as Partial<Ports> as Ports;
  const announced = (about: MigrationRequest) =>
    Promise.resolve(typeof journals === 'function' ? journals(about) : journals);
  const found = { request: asked, origin, stored, announced };
  return takeUp(found, ports, new AbortController().signal).then((saga) => ({ saga, saved }));
}

describe('a coordinator that takes a migration up', () => {
  it('begins one that was asked for, and goes on with a stored one', async () => {
    expect((await take('asked', null)).saga).toEqual(initial(request, 9));
    const stored = { ...initial(request, 1), stage: 'prepare' as const };
    expect((await take('asked', stored)).saga).toEqual(stored);
  });

  it('takes a stored one for perhaps behind where Redis may have lost its last writes', async () => {
    const inspection = { container: 'db', runtime: 'runc', bundle: '/srv/db' } as Saga['inspection'];
    const stored = { ...initial(request, 1), stage: 'sync-files' as const, inspection };
    expect((await take('asked', stored)).saga).toMatchObject({ touched: true, switching: true });
    const kept = { ...stored, continuityMark: 'unbroken' };
    expect((await take('asked', kept)).saga).toEqual(kept);
  });

  it('asks the hosts where they have gone further than what is stored', async () => {
    const inspection = { container: 'db', runtime: 'runc', bundle: '/srv/db' } as Saga['inspection'];
    const stored = { ...initial(request, 1), stage: 'sync-files' as const, inspection, touched: true };
    const { saga, saved } = await take('asked', stored, ahead);
    expect(saga).toMatchObject({ stage: 'discard', epoch: 2, request });
    expect(saved).toEqual([saga]);
    const over = { ...stored, stage: 'end' as const, end: 'cancelled' as const };
    expect((await take('journals', over, ahead)).saga).toMatchObject({ stage: 'discard', epoch: 2 });
  });

  it('leaves one alone that waits for an operator, whatever its hosts say', async () => {
    const stored = { ...initial(request, 1), stage: 'end' as const, end: 'needs-operator' as const };
    expect((await take('asked', stored, ahead)).saga).toEqual(stored);
  });

  it('never takes the request from the stored state', async () => {
    const options = { ...request.options, hooks: [{ name: 'pre-freeze', argv: ['/bin/evil'] }] };
    const forged = {
      ...initial({ ...request, options } as MigrationRequest, 1),
      stage: 'pre-freeze' as const,
    };
    expect((await take('asked', forged)).saga.request).toEqual(request);
    const back = {
      ...rebuilt(request, atFirst, 1, { options: true }),
      request: { ...request, options },
    } as Saga;
    expect((await take('journals', back)).saga.request.options.hooks).toEqual([]);
  });

  it('turns one from the journals back, and stores that before anything is done', async () => {
    const { saga, saved } = await take('journals', null);
    expect(saga).toMatchObject({ stage: 'discard', rebuilt: { at: 9 } });
    expect(saved).toEqual([saga]);
  });

  it.each(['look-up', 'prepare', 'switch', 'restore'] as const)(
    'throws a state at %s away that no signed request asked for',
    async (stage) => {
      const forged = { ...rebuilt(request, atFirst, 1, { options: true }), stage };
      expect((await take('journals', forged)).saga.stage).toBe('discard');
      expect((await take('journals', { ...initial(request, 1), stage })).saga.stage).toBe('discard');
    },
  );

  it.each(['refused', 'cancelled'] as const)(
    'lets the journals decide where one was %s that Redis did not know to have begun',
    async (end) => {
      const unbegun = { ...initial(request, 1), stage: 'end' as const, end };
      expect((await take('journals', unbegun)).saga).toMatchObject({ stage: 'discard', end: null });
      const begun = { ...unbegun, end: 'cancelled' as const, touched: true };
      expect((await take('journals', begun)).saga).toMatchObject({
        stage: 'clean-up',
        tidying: { end: 'cancelled' },
      });
    },
  );

  it.each(['asked', 'journals'] as const)(
    'asks the hosts of one that was %s where its state is damaged',
    async (origin) => {
      const { saga, saved } = await take(origin, 'damaged');
      expect(saga).toMatchObject({ stage: 'discard', request, failure: { code: 'STATE_DAMAGED' } });
      expect(saga.rebuilt?.note).toMatch(/damaged/);
      expect(saved).toEqual([saga]);
      const nowhere = await take(origin, 'damaged', { source: null, target: null });
      expect(nowhere).toEqual({ saga: initial(request, 9), saved: [] });
    },
  );

  it('finds the target that was found for it in the journal of its source, where its state is damaged', async () => {
    const place = { labels: {}, avoid: [] };
    const open = MigrationRequest.parse({ ...request, target: 'auto', place });
    const known = (about: MigrationRequest): Journals => ({
      ...ahead,
      ...(about.target === 'auto' ? { target: null } : {}),
    });
    const { saga } = await take('asked', 'damaged', known, open);
    expect(saga).toMatchObject({ stage: 'discard', epoch: 2, request: { target: 'beta', place } });
    expect((await take('asked', 'damaged', { source: null, target: null }, open)).saga).toEqual(
      initial(open, 9),
    );
  });

  it('goes on with a stored way back', async () => {
    const stored = { ...rebuilt(request, atFirst, 1, { options: true }), stage: 'resume' as const };
    const { saga, saved } = await take('journals', stored);
    expect(saga).toMatchObject({ stage: 'resume', rebuilt: { at: 1 } });
    expect(saved).toEqual([]);
  });
});
