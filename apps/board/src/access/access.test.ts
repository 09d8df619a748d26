import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cookieOf, Sessions, SESSION_MS } from './session.ts';
import { boardToken } from './token.ts';

let stateDir: string;
beforeAll(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'cmt-token-'));
});
afterAll(() => rm(stateDir, { recursive: true, force: true }));

describe('the token', () => {
  it('is made once, for its owner alone', async () => {
    const made = await Promise.all(Array.from({ length: 5 }, () => boardToken({ stateDir })));
    expect(new Set(made.map(({ secret }) => secret)).size).toBe(1);
    expect(made[0]?.secret).toMatch(/^[0-9a-f]{64}$/);
    const file = join(stateDir, 'board-token');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(made[0]?.from).toBe(file);
    expect((await readFile(file, 'utf8')).trim()).toBe(made[0]?.secret);
  });

  it('may be given, or be in a file; one that is too short is refused', async () => {
    const file = join(stateDir, 'own');
    await writeFile(file, 'a-token-of-my-own\n');
    expect(await boardToken({ stateDir, boardTokenFile: file })).toMatchObject({
      secret: 'a-token-of-my-own',
    });
    expect(await boardToken({ stateDir, boardToken: 'x'.repeat(16) })).toMatchObject({
      from: 'CMT_BOARD_TOKEN',
    });
    const unusable = { failure: { code: 'BOARD_TOKEN_UNUSABLE' } };
    await expect(boardToken({ stateDir, boardToken: 'short' })).rejects.toMatchObject(unusable);
    await expect(boardToken({ stateDir, boardTokenFile: join(stateDir, 'none') })).rejects.toMatchObject(
      unusable,
    );
  });
});

describe('a session', () => {
  const sessions = new Sessions('one token of many');

  it('lasts its time, at every board of the same token', () => {
    const cookie = sessions.begin(1000);
    const other = new Sessions('one token of many');
    expect(other.isOpen(cookie, 1000 + SESSION_MS - 1)).toBe(true);
    expect(other.isOpen(cookie, 1000 + SESSION_MS)).toBe(false);
    expect(new Sessions('another token of many').isOpen(cookie, 1000)).toBe(false);
  });

  it('cannot be made longer, nor out of nothing', () => {
    const [, salt, signature] = sessions.begin(1000).split('.');
    for (const forged of [`9999999999999.${salt}.${signature}`, '', '..', undefined, 'x'])
      expect(sessions.isOpen(forged, 1000)).toBe(false);
    expect(sessions.opens('one token of man')).toBe(false);
    expect(sessions.opens(['one token of many'])).toBe(false);
    expect(sessions.opens('one token of many')).toBe(true);
  });

  it('is one of several cookies', () => {
    expect(cookieOf('a=1; cmt_board=x.y.z; b=2', 'cmt_board')).toBe('x.y.z');
    expect(cookieOf('cmt_boards=1', 'cmt_board')).toBeUndefined();
  });
});
