/** The parts of a bundle's config.json that matter for a move (OCI runtime-spec, config.md and config-linux.md). */
import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize, resolve } from 'node:path';
import { z } from 'zod';
import { CmtError } from '@cmt/contracts';

const Mount = z.object({
  destination: z.string(),
  source: z.string().optional(),
  type: z.string().optional(),
  options: z.array(z.string()).nullish(),
});

export const BundleConfig = z.object({
  root: z.object({ path: z.string() }).optional(),
  process: z.object({ terminal: z.boolean().optional() }).optional(),
  mounts: z.array(Mount).nullish(),
  linux: z
    .object({
      namespaces: z.array(z.object({ type: z.string(), path: z.string().optional() })).nullish(),
      seccomp: z
        .object({
          listenerPath: z.string().optional(),
          defaultAction: z.string().optional(),
          syscalls: z.array(z.object({ action: z.string() })).nullish(),
        })
        .nullish(),
    })
    .optional(),
});
export type BundleConfig = z.infer<typeof BundleConfig>;

/** @throws CmtError BUNDLE_INVALID */
export async function readBundleConfig(host: string, bundle: string): Promise<BundleConfig> {
  const invalid = (problem: string): CmtError => new CmtError('BUNDLE_INVALID', { host, bundle, problem });
  try {
    const config = BundleConfig.safeParse(JSON.parse(await readFile(join(bundle, 'config.json'), 'utf8')));
    if (!config.success) throw invalid(`config.json: ${z.prettifyError(config.error)}`);
    return config.data;
  } catch (error) {
    if (error instanceof CmtError) throw error;
    throw invalid(error instanceof Error ? error.message : String(error));
  }
}

/** Bind mounts from outside the bundle: what is there must exist on the target by itself. */
export function mountsFromOutside(
  config: BundleConfig,
  bundle: string,
): { source: string; destination: string }[] {
  return (config.mounts ?? []).flatMap((mount) => {
    if (mount.source === undefined || !isBind(mount)) return [];
    const source = resolve(bundle, mount.source);
    return isWithin(source, bundle) ? [] : [{ source, destination: mount.destination }];
  });
}

/** Absolute path of the root filesystem. */
export const rootfsOf = (config: BundleConfig, bundle: string): string =>
  resolve(bundle, config.root?.path ?? 'rootfs');

export const hasSeccompListener = ({ linux }: BundleConfig): boolean => {
  const actions = [
    linux?.seccomp?.defaultAction,
    ...(linux?.seccomp?.syscalls ?? []).map(({ action }) => action),
  ];
  return linux?.seccomp?.listenerPath !== undefined || actions.includes('SCMP_ACT_NOTIFY');
};

/** Whether a path is that directory or lies below it. */
export function isWithin(path: string, directory: string): boolean {
  if (!isAbsolute(path)) return false;
  const wanted = normalize(directory).replace(/\/$/, '');
  for (let here = normalize(path).replace(/\/$/, ''); here !== '/' && here !== ''; here = dirname(here))
    if (here === wanted) return true;
  return false;
}

const isBind = ({ type, options }: z.infer<typeof Mount>): boolean =>
  type === 'bind' || (options ?? []).some((option) => option === 'bind' || option === 'rbind');
