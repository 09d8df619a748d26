import type { JournalNote, Phase, StepName, StepResult } from '@cmt/contracts';
import { steps } from '@cmt/contracts';
import { describe, expect, it } from 'vitest';
import { request } from '../test/world.ts';
import { decide, type Command } from './decide.ts';
import { evolve } from './evolve.ts';
import { rebuilt } from './rebuilt.ts';
import { report } from './report.ts';
import { canTurnBack, initial, type Journals, type Saga } from './state.ts';

const AT = 1_000_000;
const SOURCE: readonly Phase[] = ['SENDING', 'FROZEN', 'RETIRED', 'RESUMED'];
const links = { kind: 'none', netns: '/run/netns/db' } as const;

function note(phase: Phase, more: Partial<JournalNote> = {}): JournalNote {
  const side = SOURCE.includes(phase) ? 'source' : 'target';
  return {
    ...{ migration: 'm1', epoch: 1, side, phase, runtime: 'runc', container: 'db', network: links },
    ...{ bundle: side === 'source' ? '/srv/db' : '/data/db', peer: side === 'source' ? 'beta' : 'alpha' },
    ...{ frozenAt: phase === 'FROZEN' ? 5 : null, closed: false, updatedAt: 1, ...more },
  };
}
const noteOrNot = (phase: Phase | null): JournalNote | null => (phase === null ? null : note(phase));
const forgotten = (journals: Journals): Saga => rebuilt(request(), journals, AT, { options: true });

/** What the two hosts and an emptied Redis say to whatever the saga asks. */
interface Truth {
  /** What the target's journal answers to `discard`; nothing when it cannot be asked. */
  readonly target: 'COMMIT' | 'ABORT' | null;
  /** A vote that was counted after Redis had been emptied. */
  readonly record?: 'COMMIT' | 'ABORT';
}

/** Plays a rebuilt saga to its end. */
function play(begun: Saga, truth: Truth): { saga: Saga; asked: string[] } {
  let saga = begun;
  const asked: string[] = [];
  let record = truth.record ?? null;
  for (let turn = 0; saga.end === null; turn += 1) {
    if (turn > 200) throw new Error(`no end in sight at ${saga.stage}`);
    expect(canTurnBack(saga)).toBe(false);
    for (const command of decide(saga)) {
      asked.push(nameOf(command));
      if (command.kind === 'settle') {
        record ??= command.vote;
        saga = evolve(saga, { kind: 'settled', epoch: command.epoch, decision: record, at: AT });
      } else if (command.kind === 'continuity') {
        expect(command.mark).toBeNull();
        saga = evolve(saga, { kind: 'continuity', unbroken: false, at: AT });
      } else if (command.kind === 'leg') saga = evolve(saga, answer(command, truth));
      else throw new Error(`a rebuilt saga asks for ${command.kind}`);
    }
  }
  return { saga, asked };
}

const nameOf = (command: Command): string =>
  command.kind === 'leg'
    ? `${command.host}:${command.calls[0].step}`
    : command.kind === 'settle'
      ? `record ${command.vote}`
      : command.kind;

function answer({ task, calls }: Extract<Command, { kind: 'leg' }>, { target }: Truth) {
  const { step, input } = calls[0];
  steps[step].input.parse(input);
  if (step === 'discard' && target === null)
    return { kind: 'leg-lost', task, failure: { code: 'HOST_UNREACHABLE', details: {} }, at: AT } as const;
  const result: StepResult = { ok: true, step, output: outputOf(step, target), ms: 1 };
  return { kind: 'leg-ended', task, results: [result], at: AT } as const;
}

const outputOf = (step: StepName, target: Truth['target']): Record<string, unknown> => {
  if (step === 'discard') return { decision: target };
  if (step === 'release') return { decision: 'COMMIT', releasedAt: 1, decideMs: 0, openMs: 0 };
  if (step === 'confirm') return { pid: 1, ranMs: 1 };
  return step === 'resume' ? { wasFrozen: true, frozenMs: 1 } : {};
};

const BACK = ['beta:discard', 'record ABORT', 'alpha:resume', 'beta:clean', 'alpha:clean'];
const FORWARD = [
  ...['beta:discard', 'beta:release', 'beta:confirm', 'record COMMIT', 'alpha:retire'],
  ...['beta:clean', 'alpha:clean'],
];

describe('a migration that Redis has forgotten', () => {
  it.each([
    ['SENDING', 'PREPARED'],
    ['FROZEN', 'PREPARED'],
    ['FROZEN', 'HELD'],
    ['FROZEN', 'DISCARDED'],
    ['RESUMED', 'DISCARDED'],
    ['SENDING', null],
    [null, 'PREPARED'],
  ] as const)('source %s, target %s: back, once the target has written ABORT down', (source, target) => {
    const begun = forgotten({ source: noteOrNot(source), target: noteOrNot(target) });
    const { saga, asked } = play(begun, { target: 'ABORT' });
    expect(asked).toEqual(BACK);
    expect(saga).toMatchObject({ end: 'rolled-back', failure: { code: 'REDIS_FORGOT' } });
  });

  it.each([
    ['FROZEN', 'HELD'],
    ['FROZEN', 'COMMITTED'],
    ['FROZEN', 'RUNNING'],
    ['RETIRED', 'RUNNING'],
    ['FROZEN', null],
    [null, 'RUNNING'],
  ] as const)('source %s, target %s: forward, where the target says COMMIT', (source, target) => {
    const begun = forgotten({ source: noteOrNot(source), target: noteOrNot(target) });
    const { saga, asked } = play(begun, { target: 'COMMIT' });
    expect(asked).toEqual(FORWARD);
    expect(saga).toMatchObject({ end: 'done', decision: 'COMMIT', failure: null });
  });

  it('waits for a target that cannot be asked, and then for a person: Redis never stands in for it', () => {
    const begun = forgotten({ source: note('FROZEN'), target: null });
    expect(decide(begun)).toMatchObject([{ host: 'beta', patience: { pickUpMs: 60_000 } }]);
    const { saga, asked } = play(begun, { target: null, record: 'ABORT' });
    expect(asked).toEqual(['beta:discard', 'continuity']);
    expect(saga).toMatchObject({ end: 'needs-operator', failure: { code: 'UNDECIDED' } });
  });

  it('goes on in the newer of the two epochs', () => {
    const journals = { source: note('RESUMED'), target: note('PREPARED', { epoch: 2 }) };
    expect(forgotten(journals).epoch).toBe(2);
  });

  it('asks each host for its own bundle, and names the network that the source was frozen with', () => {
    const frozen = { ...links, netns: '/run/netns/frozen' };
    const journals = { source: note('FROZEN', { network: frozen }), target: note('HELD') };
    const [discard] = decide(forgotten(journals));
    expect(discard).toMatchObject({
      calls: [{ input: { subject: { bundle: '/data/db' }, network: frozen } }],
    });
  });

  it('asks under names of its own: hosts remember how the forgotten legs ended', () => {
    const journals = { source: note('FROZEN'), target: null };
    const tasks = [AT, AT + 1].map((at) => decide(rebuilt(request(), journals, at, { options: true })));
    expect(tasks[0]).toMatchObject([{ task: `discard-r${AT.toString(36)}.1.1` }]);
    expect(tasks[1]).not.toEqual(tasks[0]);
  });

  it('cannot be cancelled on its way back', () => {
    const begun = forgotten({ source: note('FROZEN'), target: null });
    expect(evolve(begun, { kind: 'cancel', reason: 'asked', at: AT })).toBe(begun);
  });

  it('says where it is from, and what was lost', () => {
    const journals = { source: note('FROZEN'), target: null };
    expect(report(forgotten(journals), AT)).toMatchObject({
      rebuilt: expect.stringMatching(/journals.*hooks/) as string,
      container: 'db',
      state: 'rolling-back',
    });
    expect(rebuilt(request(), journals, AT, { options: false }).rebuilt?.note).not.toContain('hooks');
  });

  it.each([
    ['RETIRED', 'RUNNING', 'done'],
    [null, 'RUNNING', 'done'],
    ['RESUMED', 'DISCARDED', 'rolled-back'],
    ['RESUMED', null, 'rolled-back'],
  ] as const)(
    'closed as %s and %s: its end, %s, is put on record and nothing is done',
    (source, target, end) => {
      const closed = (phase: Phase | null) => (phase === null ? null : note(phase, { closed: true }));
      const saga = forgotten({ source: closed(source), target: closed(target) });
      expect(saga).toMatchObject({ stage: 'end', end });
      expect(decide(saga)).toEqual([{ kind: 'finish', state: end }]);
    },
  );

  it('closed on one side only: the other is brought to its end', () => {
    const journals = { source: note('RETIRED'), target: note('RUNNING', { closed: true }) };
    expect(play(forgotten(journals), { target: 'COMMIT' }).saga.end).toBe('done');
  });
});

describe('a migration that is asked for again after Redis was emptied', () => {
  const peer = {
    endpoint: {
      ...{ address: '10.0.0.1', sshPort: 22, sshUser: 'root', sshHostKeys: [], receivePort: 7070 },
      ...{ receiveSocket: '/run/cmt/receive.sock', publicKey: 'key' },
    },
  };
  const lookedUp = (journals: Journals) =>
    evolve(initial(request(), 0), {
      ...{ kind: 'looked-up', source: peer, target: peer, continuityMark: 'r1', journals, at: AT },
    });

  it('is not begun again where a host has it in its journal', () => {
    expect(lookedUp({ source: note('FROZEN'), target: note('HELD') })).toMatchObject({
      stage: 'discard',
      continuityMark: null,
    });
  });

  it('begins where none has', () => {
    expect(lookedUp({ source: null, target: null }).stage).toBe('inspect');
  });
});
