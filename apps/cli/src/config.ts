/**
 * Configuration: flags over `CMT_*` variables over one JSON file, checked by the contract. Pure but for `readConfigFile`.
 * The first file that exists counts: `--config` or CMT_CONFIG, $XDG_CONFIG_HOME/cmt/config.json, /etc/cmt/config.json.
 * The working directory is not looked at: whoever can write there must not steer a process of root.
 */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { z } from 'zod';
import { BoardConfig, ClientConfig, CmtError, CoordinatorConfig, WorkerConfig } from '@cmt/contracts';
import { closest } from './flags/closest.ts';

export type Environment = Readonly<Record<string, string | undefined>>;
type Values = Readonly<Record<string, unknown>>;

export interface ConfigSources {
  /** As commander names them: `--ssh-port` is `sshPort`. Flags that are no setting are left out by the caller or ignored here. */
  readonly flags: Values;
  readonly env: Environment;
  readonly file: { readonly path: string; readonly values: Values } | undefined;
  /** Used where nobody says anything. */
  readonly defaults: Values;
}

/** One file serves all three kinds of process: a setting of another kind is no mistake. */
const KNOWN = [
  ...new Set(
    [WorkerConfig, CoordinatorConfig, BoardConfig, ClientConfig].flatMap((schema) =>
      Object.keys(schema.shape),
    ),
  ),
];

/** `stateDir` is `CMT_STATE_DIR`. */
export const variableOf = (key: string): string =>
  `CMT_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;

/** @throws {CmtError} CONFIG_INVALID naming the setting and where it came from. */
export function mergeConfig<S extends z.ZodObject>(schema: S, sources: ConfigSources): z.infer<S> {
  const { flags, env, file, defaults } = sources;
  if (file) refuseUnknown(file);
  const keys = Object.keys(schema.shape);
  const fromEnv = Object.fromEntries(keys.map((key) => [key, fromText(key, env[variableOf(key)])]));
  const layers = [flags, fromEnv, file?.values ?? {}, defaults];
  const merged = Object.fromEntries(
    keys.map((key) => [key, layers.map((layer) => layer[key]).find((value) => value !== undefined)]),
  );
  const result = schema.safeParse(merged);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const key = String(issue?.path[0]);
  const where = originOf(key, { flags, fromEnv, file });
  throw new CmtError('CONFIG_INVALID', { problem: `${key}, from ${where}: ${issue?.message ?? ''}`, where });
}

function originOf(
  key: string,
  { flags, fromEnv, file }: Pick<ConfigSources, 'flags' | 'file'> & { readonly fromEnv: Values },
): string {
  if (flags[key] !== undefined) return flagOf(key);
  if (fromEnv[key] !== undefined) return variableOf(key);
  return file?.values[key] === undefined ? `${flagOf(key)} or ${variableOf(key)}` : file.path;
}

const flagOf = (key: string): string => `--${variableOf(key).slice(4).toLowerCase().replaceAll('_', '-')}`;

/** Lists are separated by colons (`CMT_HOOKS=/a:/b`), labels by commas (`CMT_LABELS=zone=a,gpu=no`). An empty variable is none. */
function fromText(key: string, text: string | undefined): unknown {
  if (text === undefined || text === '') return undefined;
  if (key === 'hooks') return text === 'any' ? text : text.split(':');
  if (key === 'labels') return labelsOf(text.split(','));
  return text;
}

/** `['zone=a']` as an object; a text without `=` keeps its value undefined, which the schema refuses. */
export const labelsOf = (texts: readonly string[]): Record<string, string | undefined> =>
  Object.fromEntries(
    texts.map((text) => {
      const [name = '', ...value] = text.split('=');
      return [name, value.length > 0 ? value.join('=') : undefined];
    }),
  );

function refuseUnknown({ path, values }: { readonly path: string; readonly values: Values }): void {
  const unknown = Object.keys(values).find((key) => !KNOWN.includes(key));
  if (unknown === undefined) return;
  const meant = closest(unknown, KNOWN);
  const hint = meant ? `, did you mean ${meant}?` : '';
  throw new CmtError('CONFIG_INVALID', {
    problem: `${path} sets ${unknown}, which is unknown${hint}`,
    where: path,
  });
}

/** The file that counts, or undefined. @throws {CmtError} CONFIG_INVALID when it is unreadable or not a JSON object. */
export async function readConfigFile(
  named: string | undefined,
  env: Environment,
): Promise<ConfigSources['file']> {
  const explicit = named ?? (env['CMT_CONFIG'] || undefined);
  const xdg = env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config');
  const paths = explicit === undefined ? [join(xdg, 'cmt/config.json'), '/etc/cmt/config.json'] : [explicit];
  for (const path of paths) {
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT' && explicit === undefined) return undefined;
      throw new CmtError('CONFIG_INVALID', { problem: (error as Error).message, where: path });
    });
    if (text !== undefined) return { path, values: objectFrom(path, text) };
  }
  return undefined;
}

function objectFrom(path: string, text: string): Values {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return { ...parsed };
  } catch (error) {
    throw new CmtError('CONFIG_INVALID', { problem: `${path}: ${(error as Error).message}`, where: path });
  }
  throw new CmtError('CONFIG_INVALID', { problem: `${path} is not a JSON object`, where: path });
}
