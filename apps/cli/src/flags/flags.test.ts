import { describe, expect, it } from 'vitest';
import { closest } from './closest.ts';
import { parseDuration } from './duration.ts';
import { parseHook } from './hook.ts';
import { parseLocation } from './location.ts';
import { splitWords } from './words.ts';

describe('parseDuration', () => {
  it.each([
    ['300ms', 300],
    ['300', 300],
    ['1.5s', 1500],
    ['2m', 120_000],
    ['0s', 0],
  ])('%s is %i ms', (text, ms) => expect(parseDuration('--max-downtime', text)).toBe(ms));

  it.each(['', 'fast', '-1s', '3h', '1 s', '1e3', 's'])('%j is refused, naming the flag', (text) =>
    expect(() => parseDuration('--max-downtime', text)).toThrow('--max-downtime'),
  );
});

describe('parseLocation', () => {
  it.each([
    ['host1', { host: 'host1' }],
    ['host1:/srv/redis', { host: 'host1', bundle: '/srv/redis' }],
    ['root@10.0.0.7:/srv/my bundle', { host: '10.0.0.7', bundle: '/srv/my bundle', ssh: { user: 'root' } }],
    ['root@[fe80::1]:/b/', { host: 'fe80::1', bundle: '/b', ssh: { user: 'root' } }],
    ['ssh://bob@web:2222/srv/b', { host: 'web', bundle: '/srv/b', ssh: { user: 'bob', port: 2222 } }],
    ['ssh://web/srv/b', { host: 'web', bundle: '/srv/b', ssh: {} }],
    ['ssh://[::1]:22', { host: '::1', ssh: { port: 22 } }],
    ['[::1]', { host: '::1' }],
    ['a:/x:y', { host: 'a', bundle: '/x:y' }],
  ])('%s', (text, location) => expect(parseLocation('--src', text)).toEqual(location));

  it.each([
    '',
    ':/srv',
    'a b',
    '@host',
    'user@',
    'host1:',
    'host1:srv',
    'host1:/a/../b',
    'host1:/a//b',
    'h:/a\nb',
    'ssh://',
    'ssh://a b/x',
    'ssh://a:port/x',
  ])('%j is refused, naming the flag', (text) =>
    expect(() => parseLocation('--src', text)).toThrow(/^The request is not valid: --src/),
  );
});

describe('splitWords', () => {
  it.each([
    ['/bin/check --quick', ['/bin/check', '--quick']],
    ['  a   b ', ['a', 'b']],
    [`a 'b c' "d e"`, ['a', 'b c', 'd e']],
    [`a''b "" c`, ['ab', '', 'c']],
    [String.raw`a\ b "c\"d" 'e\f' "g\h"`, ['a b', 'c"d', 'e\\f', 'g\\h']],
    [`sh -c 'a | b > $C'`, ['sh', '-c', 'a | b > $C']],
    ['', []],
  ])('%s', (text, words) => expect(splitWords(text)).toEqual(words));

  it.each(['a "b', "a 'b", 'a\\', 'a | b', 'a $HOME', 'a > b', 'rm *', 'a; b', '`id`'])(
    '%s is refused',
    (text) => expect(() => splitWords(text)).toThrow(),
  );
});

describe('parseHook', () => {
  it('runs beside the coordinator unless told where', () => {
    expect(parseHook('pre-restore', '/bin/true', 1000)).toEqual({
      ...{ name: 'pre-restore', place: 'coordinator', argv: ['/bin/true'], timeoutMs: 1000 },
    });
    expect(parseHook('pre-freeze', '@source /bin/a "b c"', 1000)).toMatchObject({
      ...{ place: 'source', argv: ['/bin/a', 'b c'] },
    });
  });

  it.each(['', '@target', '@elsewhere /bin/true', '""', "/bin/a 'b"])(
    '%j is refused, naming the flag',
    (text) => expect(() => parseHook('post-restore', text, 1000)).toThrow('--hook-post-restore'),
  );
});

describe('closest', () => {
  const known = ['host1', 'host2', 'rack-a-07'];
  it.each([
    ['hots1', 'host1'],
    ['HOST2', 'host2'],
    ['rack-a-7', 'rack-a-07'],
  ])('%s was meant to be %s', (typed, meant) => expect(closest(typed, known)).toBe(meant));
  it('keeps quiet when nothing is near', () => expect(closest('database', known)).toBeUndefined());
});
