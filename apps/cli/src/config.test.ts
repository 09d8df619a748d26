import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ClientConfig, WorkerConfig } from '@cmt/contracts';
import { mergeConfig, readConfigFile, variableOf, type ConfigSources } from './config.ts';

const none: ConfigSources = { flags: {}, env: {}, file: undefined, defaults: { stateDir: '/var/lib/cmt' } };
const file = (values: Record<string, unknown>) => ({ path: '/etc/cmt/config.json', values });

describe('mergeConfig', () => {
  it('takes flags over variables over the file over defaults', () => {
    const all = {
      flags: { redis: 'redis://flag' },
      env: { CMT_REDIS: 'redis://env', CMT_LOG_LEVEL: 'debug' },
      file: file({ redis: 'redis://file', logLevel: 'error', stateDir: '/file', hooks: ['/bin/true'] }),
      defaults: none.defaults,
    };
    expect(mergeConfig(ClientConfig, all)).toMatchObject({
      ...{ redis: 'redis://flag', logLevel: 'debug', stateDir: '/file', hooks: ['/bin/true'] },
    });
    expect(mergeConfig(ClientConfig, { ...all, flags: {}, env: {} }).redis).toBe('redis://file');
    expect(mergeConfig(ClientConfig, none)).toMatchObject({ logLevel: 'info', stateDir: '/var/lib/cmt' });
  });

  it('reads numbers, lists and labels from variables', () => {
    const env = {
      ...{ CMT_NAME: 'h', CMT_ADDRESS: '::1', CMT_SSH_PORT: '2222', CMT_HOOKS: '/bin/a:/bin/b' },
      ...{ CMT_LABELS: 'zone=a,note=x=y', CMT_IMAGES_DIR: '' },
    };
    expect(mergeConfig(WorkerConfig, { ...none, env })).toMatchObject({
      ...{ sshPort: 2222, hooks: ['/bin/a', '/bin/b'], labels: { zone: 'a', note: 'x=y' } },
      imagesDir: '/run/cmt/images',
    });
    expect(mergeConfig(ClientConfig, { ...none, env: { CMT_HOOKS: 'any' } }).hooks).toBe('any');
  });

  it.each<[string, string, Partial<ConfigSources>]>([
    ['sshPort', '--ssh-port', { flags: { name: 'h', address: 'a', sshPort: '70000' } }],
    ['sshPort', 'CMT_SSH_PORT', { flags: { name: 'h', address: 'a' }, env: { CMT_SSH_PORT: 'x' } }],
    ['labels', 'CMT_LABELS', { flags: { name: 'h', address: 'a' }, env: { CMT_LABELS: 'zone' } }],
    ['imagesDir', '/etc/cmt/config.json', { file: file({ name: 'h', address: 'a', imagesDir: 'tmp' }) }],
    ['name', '--name or CMT_NAME', { flags: { address: 'a' } }],
  ])('a wrong %s is blamed on %s', (key, where, sources) => {
    expect(() => mergeConfig(WorkerConfig, { ...none, ...sources })).toThrow(
      expect.objectContaining({
        message: expect.stringContaining(`${key}, from ${where}: `) as string,
        failure: expect.objectContaining({ code: 'CONFIG_INVALID' }) as object,
      }),
    );
  });

  it('refuses a setting that nobody knows, but not one of another kind of process', () => {
    expect(() => mergeConfig(ClientConfig, { ...none, file: file({ reddis: 'x' }) })).toThrow(
      '/etc/cmt/config.json sets reddis, which is unknown, did you mean redis?',
    );
    expect(mergeConfig(ClientConfig, { ...none, file: file({ sshPort: 22 }) })).not.toHaveProperty('sshPort');
  });

  it('names variables after settings', () =>
    expect(variableOf('trustedKeysDir')).toBe('CMT_TRUSTED_KEYS_DIR'));
});

describe('readConfigFile', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cmt-config-'));
    await mkdir(join(dir, 'cmt'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  it('prefers the named file, then CMT_CONFIG, then the user’s', async () => {
    const write = (name: string) => writeFile(join(dir, name), JSON.stringify({ redis: name }));
    await Promise.all(['a.json', 'b.json', 'cmt/config.json'].map(write));
    const env = { CMT_CONFIG: join(dir, 'b.json'), XDG_CONFIG_HOME: dir };
    const redisIn = async (...args: Parameters<typeof readConfigFile>) =>
      (await readConfigFile(...args))?.values;
    expect(await redisIn(join(dir, 'a.json'), env)).toEqual({ redis: 'a.json' });
    expect(await redisIn(undefined, env)).toEqual({ redis: 'b.json' });
    expect(await redisIn(undefined, { XDG_CONFIG_HOME: dir })).toEqual({ redis: 'cmt/config.json' });
  });

  it('refuses a named file that is missing, no JSON, or no object', async () => {
    const named = join(dir, 'named.json');
    await expect(readConfigFile(named, {})).rejects.toThrow('ENOENT');
    for (const text of ['{', '[]', 'null', '"x"']) {
      await writeFile(named, text);
      await chmod(named, 0o600);
      await expect(readConfigFile(named, {})).rejects.toMatchObject({ failure: { code: 'CONFIG_INVALID' } });
    }
  });
});
