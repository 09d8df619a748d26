import { describe, expect, it } from 'vitest';
import { shownData, shownProgress, shownResult } from './redaction.ts';

const SECRET = 'hunter2';
const request = {
  id: 'm-1',
  container: 'web',
  source: 'alpha',
  target: 'beta',
  options: { hooks: [SECRET] },
};
const sealed = { body: JSON.stringify(request), key: '0123456789abcdef', signature: 'x' };

describe('of a job Bull Board shows', () => {
  it('which one it is, not what it holds', () => {
    const shown = shownData(sealed);
    expect(shown).toMatchObject({ id: 'm-1', container: 'web', signedBy: '0123456789abcdef' });
    expect(JSON.stringify(shown)).not.toContain(SECRET);
    const leg = { migration: 'm-1', task: 'hook.1.1', epoch: 1, calls: [{ input: SECRET }] };
    const ofLeg = shownData({ sealed: { ...sealed, body: JSON.stringify(leg) }, lease: 3 });
    expect(ofLeg).toMatchObject({ migration: 'm-1', task: 'hook.1.1', lease: 3 });
    expect(JSON.stringify(ofLeg)).not.toContain(SECRET);
  });

  it('how each step ended, not what it brought', () => {
    const output = { outcome: { output: SECRET } };
    const failure = { code: 'DUMP_FAILED', details: { reason: SECRET }, log: SECRET };
    const shown = shownResult({
      v: 1,
      results: [
        { ok: true, step: 'hook', output, ms: 3.4 },
        { ok: false, step: 'prepare', failure, ms: 5 },
      ],
    });
    expect(shown).toMatchObject([
      { step: 'hook', ok: true, ms: 3 },
      { step: 'prepare', ok: false, failure: 'DUMP_FAILED' },
    ]);
    expect(JSON.stringify(shown)).not.toContain(SECRET);
  });

  it('nothing of what it does not know', () => {
    for (const strange of [
      SECRET,
      { a: SECRET },
      { sealed: SECRET },
      { body: `{"id":["${SECRET}"]}`, key: 'k' },
    ])
      expect(
        JSON.stringify([shownData(strange), shownResult(strange), shownProgress(strange)]),
      ).not.toContain(SECRET);
    expect(shownResult(null)).toBeNull();
  });
});
