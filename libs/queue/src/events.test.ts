import type { MigrationEvent } from '@cmt/contracts';
import { describe, expect, it } from 'vitest';
import { LegEvents } from './events.ts';

const event = (kind: MigrationEvent['kind'], step: string): MigrationEvent => ({
  ...{ v: 1, migration: 'm1', at: 0, host: 'alpha' },
  ...{ kind, step, text: step },
});

describe('the events of a leg', () => {
  it('tell at once what begins, and that a step has ended with what comes next, in their order', () => {
    const sent: string[][] = [];
    const events = new LegEvents((...told) => sent.push(told.map(({ kind, step }) => `${kind} ${step}`)));
    events.tell(event('step-started', 'restore-and-hold'));
    expect(sent).toEqual([['step-started restore-and-hold']]);
    events.tell(event('step-ended', 'restore-and-hold'));
    expect(sent).toHaveLength(1);
    events.tell(event('step-started', 'release'));
    expect(sent[1]).toEqual(['step-ended restore-and-hold', 'step-started release']);
    events.tell(event('step-ended', 'release'));
    events.flush();
    events.flush();
    expect(sent.slice(2)).toEqual([['step-ended release']]);
  });
});
