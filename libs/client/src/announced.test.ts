import { describe, expect, it } from 'vitest';
import { hostRecord } from '../../../test/support/host-record.ts';
import { clockDiagnosis, hostDiagnoses, versionDiagnoses, type Announced } from './announced.ts';

const host = (name: string, more: Partial<Announced> = {}, cmtVersion = '0.1.0'): Announced => ({
  ...{ name, state: 'online', ageMs: 10, clockOffsetMs: 0 },
  record: { ...hostRecord(name, '10.0.0.1'), cmtVersion },
  ...more,
});

describe('clockDiagnosis', () => {
  it.each([
    [0, 'ok'],
    [-1_900, 'ok'],
    [5_000, 'warning'],
    [-5_000, 'warning'],
    [120_000, 'problem'],
  ])('of %i ms is %s', (offset, level) => {
    expect(clockDiagnosis('alpha', offset).level).toBe(level);
  });

  it('says on which side it is', () => {
    expect(clockDiagnosis('alpha', 5_000).message).toBe('its clock is 5.0 s ahead of that of Redis');
    expect(clockDiagnosis('alpha', -90_000).message).toBe('its clock is 90.0 s behind that of Redis');
  });
});

describe('hostDiagnoses', () => {
  it('has a problem with whoever is silent', () => {
    expect(hostDiagnoses(host('alpha')).map(({ level }) => level)).toEqual(['ok', 'ok']);
    expect(hostDiagnoses(host('alpha', { state: 'unreachable', ageMs: 20_000 }))).toMatchObject([
      { level: 'problem', message: 'nothing was heard of its worker for 20 s' },
    ]);
  });
});

describe('versionDiagnoses', () => {
  it('names those that differ from most', () => {
    const seen = [host('a'), host('b'), host('c', {}, '0.2.0'), host('d', { state: 'offline' }, '0.3.0')];
    expect(versionDiagnoses(seen)).toMatchObject([{ about: 'c', message: 'runs cmt 0.2.0, most run 0.1.0' }]);
    expect(versionDiagnoses([])).toEqual([]);
  });
});
