/**
 * Bundles every app to dist/<app>.js. Does nothing when no source is newer than the last build (`--force` builds anyway).
 * `--out DIR` builds there instead.
 *
 * INVARIANTS
 * - dist/.stamp carries the time at which the last good build began: a source changed meanwhile is newer than it.
 * - Files appear complete (written aside, renamed), so that builds and starts at the same time never meet half a file.
 * - A running daemon never loads code from dist again: only the CLI is split into chunks.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = process.argv.indexOf('--out');
const dist = out < 0 ? join(root, 'dist') : resolve(process.argv[out + 1] ?? '.');
const stamp = join(dist, '.stamp');

/** Old chunks live this long, for a CLI that started just before the build. */
const CHUNK_GRACE_MS = 10 * 60_000;

/** CommonJS dependencies (ssh2, ioredis) use `require` and `__dirname`, which an ES module does not have. */
const banner = {
  js: `import { createRequire as cmtCreateRequire } from 'node:module'; const require = cmtCreateRequire(import.meta.url);
globalThis.__dirname ??= import.meta.dirname;`,
};

/** What the board sends to browsers: its own page, and that of Bull Board. All of dist/board is public. */
const page = join(root, 'apps/board/src/page');
const pageDir = join(dist, 'board');
const bullBoard = join(root, 'node_modules/@bull-board/ui/dist');

/**
 * What libraries read from beside their code, in dist as in their packages: native code of ssh2, several times faster than its fallback,
 * and the WebAssembly of zstd.
 */
const assets = Object.entries({
  'crypto/build/Release/sshcrypto.node': 'ssh2/lib/protocol/crypto/build/Release/sshcrypto.node',
  'zstd.wasm': '@bokuweb/zstd-wasm/dist/common/zstd.wasm',
})
  .map(([name, path]) => ({ name, source: join(root, 'node_modules', path) }))
  .filter(({ source }) => existsSync(source));

/**
 * OpenTelemetry is as large as all the rest, and most do without it and without zstd: files of their own, read only where they are
 * wanted.
 */
const apart = (source, file) => ({
  name: `${file}-apart`,
  setup: ({ onResolve }) =>
    onResolve({ filter: new RegExp(`/${source}\\.ts$`) }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: `./${file}.js`, external: true } : undefined,
    ),
});

/** Zod speaks fifty languages, and cmt one: they were half of what a quick verb reads before it begins. */
const oneLanguage = {
  name: 'one-language',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
    })),
};

const shared = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  sourcemap: true,
  // Comments of libraries hold letters beyond Latin-1, and one such letter has node keep all of a file in two bytes each.
  minifyWhitespace: true,
  lineLimit: 120,
  banner,
  outdir: dist,
  absWorkingDir: root,
  write: false,
  plugins: [apart('traces-sdk', 'traces'), apart('zstd', 'zstd'), oneLanguage],
  logLevel: 'error',
  // Optional accelerators and backends that the libraries look for and do without.
  external: ['cpu-features', '*.node', 'msgpackr-extract', 'pg', 'redis', 'pino-pretty'],
};

// What is built by root runs for everybody; nothing in it is secret.
process.umask(0o022);

const entries = {
  cli: 'apps/cli/src/main.ts',
  coordinator: 'apps/coordinator/src/main.ts',
  worker: 'apps/worker/src/main.ts',
  'image-carrier': 'libs/host/src/transports/carrier/main.ts',
  zstd: 'libs/host/src/transports/carrier/zstd.ts',
  'ssh-session': 'apps/cli/src/agentless/main.ts',
  board: 'apps/board/src/main.ts',
  traces: 'libs/queue/src/traces-sdk.ts',
  lab: 'apps/lab/src/main.ts',
  demo: 'apps/lab/src/demo/main.ts',
  'counting-client': 'apps/lab/src/demo/counting-client.ts',
  'witness-process': 'apps/lab/src/demo/witness-process.ts',
};

if (process.argv.includes('--force') || !isFresh()) await build();

async function build() {
  const startedAt = new Date();
  const { build: bundle } = await import('esbuild');
  const there = Object.entries(entries).filter(([, file]) => existsSync(join(root, file)));
  // One by one, so that an app that does not build keeps no other from being built.
  const results = await Promise.allSettled(
    there.map(([app, file]) =>
      bundle({
        ...shared,
        entryPoints: { [app]: file },
        splitting: app === 'cli',
        chunkNames: 'chunk-[hash]',
      }),
    ),
  );
  await mkdir(dist, { recursive: true });
  const files = results.flatMap(({ value }) => value?.outputFiles ?? []);
  await Promise.all(files.map(({ path, contents }) => replace(path, contents)));
  for (const { name, source } of assets) {
    await mkdir(dirname(join(dist, name)), { recursive: true });
    await replace(join(dist, name), await readFile(source));
  }
  await buildPages(bundle);
  await dropOldChunks(new Set(files.map(({ path }) => path)));
  await replace(join(dist, 'package.json'), manifest());
  await replace(join(dist, 'files.json'), contentsOf(files));
  // esbuild has said what is wrong; what is right is there, but counts as stale.
  if (results.some(({ status }) => status === 'rejected')) process.exit(1);
  await replace(stamp, '');
  await utimes(stamp, startedAt, startedAt);
}

/** The board's pages ask for nothing from elsewhere: Bull Board's fonts are left to the browser's own. */
async function buildPages(bundle) {
  if (!existsSync(page) || !existsSync(bullBoard)) return;
  const { outputFiles } = await bundle({
    ...{ bundle: true, platform: 'browser', target: 'es2022', format: 'esm', minify: true, write: false },
    ...{ absWorkingDir: root, outdir: pageDir, logLevel: 'error' },
    entryPoints: { page: join(page, 'main.ts'), style: join(page, 'page.css') },
  });
  const target = join(pageDir, 'bull-board/dist');
  await mkdir(target, { recursive: true });
  for (const { path, contents } of outputFiles)
    await replace(path.replace('style.css', 'page.css'), contents);
  await replace(join(pageDir, 'icon.svg'), await readFile(join(page, 'icon.svg')));
  await cp(join(bullBoard, 'static'), join(target, 'static'), { recursive: true });
  const index = await readFile(join(bullBoard, 'index.ejs'), 'utf8');
  await replace(join(target, 'index.ejs'), index.replace(/<link href="https:[^>]*>\s*/g, ''));
}

/** True when nothing that goes into a bundle was touched since the last build began; a deletion touches its folder. */
function isFresh() {
  const built = statSync(stamp, { throwIfNoEntry: false })?.mtimeMs;
  return built !== undefined && sources().every((path) => statSync(path).mtimeMs < built);
}

/** Makes dist a whole of its own: a lab host sees nothing else of the checkout. */
function manifest() {
  const { version, type } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return `${JSON.stringify({ name: 'cmt', version, type })}\n`;
}

/** What runs elsewhere needs of this build, and nothing that an older one has left. */
function contentsOf(files) {
  const programs = files.map(({ path }) => relative(dist, path)).filter((name) => !name.endsWith('.map'));
  const all = [...programs, 'package.json', ...assets.map(({ name }) => name)];
  return `${JSON.stringify(all.sort())}\n`;
}

function sources() {
  const folders = ['apps', 'libs'].flatMap((top) =>
    readdirSync(join(root, top)).map((name) => join(root, top, name, 'src')),
  );
  const inside = folders
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => [
      folder,
      ...readdirSync(folder, { recursive: true }).map((name) => join(folder, name)),
    ]);
  const bundled = inside.filter((path) => !path.endsWith('.test.ts'));
  return [
    ...bundled,
    join(root, 'package.json'),
    join(root, 'package-lock.json'),
    fileURLToPath(import.meta.url),
  ];
}

async function replace(path, contents) {
  const aside = `${path}.${process.pid}`;
  await writeFile(aside, contents, { mode: 0o644 });
  await rename(aside, path);
}

async function dropOldChunks(kept) {
  const names = (await readdir(dist)).filter((name) => name.startsWith('chunk-'));
  for (const path of names.map((name) => join(dist, name)).filter((path) => !kept.has(path))) {
    const age = Date.now() - (await stat(path).catch(() => ({ mtimeMs: 0 }))).mtimeMs;
    if (age > CHUNK_GRACE_MS) await rm(path, { force: true });
  }
}
