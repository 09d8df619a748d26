import { describe, expect, it } from 'vitest';
import { parseRedisUrl } from './connection.ts';

describe('the address of a Redis', () => {
  it.each([
    ['redis://db', { host: 'db', port: 6379 }],
    ['redis://db:7000/3', { host: 'db', port: 7000, db: 3 }],
    ['redis://[::1]:7000', { host: '::1', port: 7000 }],
    ['rediss://db', { host: 'db', tls: {} }],
    ['redis://ann:p%40ss@db', { username: 'ann', password: 'p@ss' }],
    ['unix:///run/a%20b/redis.sock', { path: '/run/a b/redis.sock' }],
  ])('%s', (url, options) => {
    expect(parseRedisUrl(url).options).toMatchObject(options);
  });

  it('takes its password from the environment where it has none', () => {
    expect(parseRedisUrl('redis://db', 'secret').options.password).toBe('secret');
    expect(parseRedisUrl('redis://:own@db', 'secret').options.password).toBe('own');
  });

  it.each([
    ['redis://:secret@db:1', 'redis://db:1'],
    ['redis://ann:secret@db:1', 'redis://ann@db:1'],
    ['redis://db:1', 'redis://db:1'],
  ])('%s is shown as %s', (url, shown) => {
    expect(parseRedisUrl(url).shown).toBe(shown);
  });

  it.each(['localhost:6379', 'http://db', ''])('is not %j', (url) => {
    expect(() => parseRedisUrl(url)).toThrow(/not a redis:\/\//);
  });
});
