import { describe, expect, it } from 'vitest';
import { ruleOf, userOf } from './host-user.ts';

describe('ruleOf', () => {
  const rule = ruleOf('alpha', 'secret', true);

  it('names the host’s own queue and nobody else’s', () => {
    expect(userOf('alpha')).toBe('cmt-alpha');
    expect(rule).toContain('~{cmt}:cmt.host.alpha:*');
    expect(rule.filter((part) => part.includes('cmt.host.'))).toHaveLength(1);
    expect(rule).not.toContain('~*');
  });

  it('holds no password, and begins anew', () => {
    expect(rule.join(' ')).not.toContain('secret');
    expect(rule.slice(0, 2)).toEqual(['reset', 'on']);
    expect(rule[2]).toMatch(/^#[0-9a-f]{64}$/);
  });

  it('lets sagas be read and not written where Redis can tell the two apart', () => {
    expect(rule).toContain('%R~{cmt}:saga:*');
    expect(rule).not.toContain('~{cmt}:saga:*');
    expect(ruleOf('alpha', 'secret', false)).toContain('~{cmt}:saga:*');
  });

  it('takes every dangerous command away after it has given all', () => {
    expect(rule.indexOf('+@all')).toBeLessThan(rule.indexOf('-@dangerous'));
    expect(rule).not.toContain('+config|get');
  });
});
