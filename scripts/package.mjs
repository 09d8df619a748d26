/**
 * Makes cmt-<version>-linux-<arch>.tar.gz and cmt_<version>_<arch>.deb: the programs with the Node that runs them, nothing else needed.
 *
 *     npm run package [-- --out DIR] [--level 1..9] [--json]
 *
 * INVARIANT: the same sources, Node and SOURCE_DATE_EPOCH (default: the time of the last commit) give the same bytes.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values } = parseArgs({
  options: {
    out: { type: 'string', default: join(root, 'packages') },
    level: { type: 'string', default: '9' },
    json: { type: 'boolean', default: false },
  },
});
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const DOCS = ['automation.md', 'cli.md', 'errors.md', 'lifecycle.md', 'operations.md'];

// What is built by root runs for everybody; nothing in it is secret.
process.umask(0o022);
const epoch = sourceDate();
const env = { ...process.env, SOURCE_DATE_EPOCH: epoch };
const out = resolve(values.out);
const work = mkdtempSync(join(tmpdir(), 'cmt-package-'));
try {
  mkdirSync(out, { recursive: true });
  const tree = assemble(join(work, 'cmt'));
  const made = [tarball(tree), deb(tree)];
  for (const file of made) report(file);
  if (values.json) console.log(JSON.stringify({ version, epoch: Number(epoch), files: made }));
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** The tree as it lies below /opt/cmt. */
function assemble(tree) {
  const built = join(work, 'dist');
  run(process.execPath, [join(root, 'scripts/build.mjs'), '--force', '--out', built]);
  for (const name of JSON.parse(readFileSync(join(built, 'files.json'), 'utf8')))
    put(join(built, name), join(tree, 'lib', name));
  put(join(built, 'files.json'), join(tree, 'lib/files.json'));
  put(process.execPath, join(tree, 'runtime/node'), 0o755);
  put(join(root, 'packaging/cmt.sh'), join(tree, 'bin/cmt'), 0o755);
  for (const name of ['cmt-worker.service', 'cmt-coordinator.service'])
    put(join(root, 'packaging/systemd', name), join(tree, 'systemd', name));
  for (const name of ['config.example.json', 'coordinator.example.json'])
    put(join(root, 'packaging', name), join(tree, 'doc', name));
  for (const name of DOCS) put(join(root, 'docs', name), join(tree, 'doc', name));
  return tree;
}

function tarball(tree) {
  const file = join(out, `cmt-${version}-linux-${process.arch}.tar.gz`);
  const plain = join(work, 'cmt.tar');
  const owner = ['--owner=0', '--group=0', '--numeric-owner'];
  run('tar', [
    '--sort=name',
    `--mtime=@${epoch}`,
    ...owner,
    '--format=gnu',
    '-C',
    dirname(tree),
    '-cf',
    plain,
    'cmt',
  ]);
  run('gzip', ['-n', `-${values.level}`, plain]);
  cpSync(`${plain}.gz`, file);
  return file;
}

function deb(tree) {
  const architecture = output('dpkg', ['--print-architecture']).trim();
  const file = join(out, `cmt_${version}_${architecture}.deb`);
  const image = join(work, 'deb');
  cpSync(tree, join(image, 'opt/cmt'), { recursive: true });
  for (const name of ['cmt-worker.service', 'cmt-coordinator.service'])
    put(join(tree, 'systemd', name), join(image, 'usr/lib/systemd/system', name));
  put(join(root, 'packaging/deb/cmt'), join(image, 'usr/bin/cmt'), 0o755);
  for (const script of ['postinst', 'prerm', 'postrm'])
    put(join(root, 'packaging/deb', script), join(image, 'DEBIAN', script), 0o755);
  const kilobytes = Math.ceil(Number(output('du', ['-sk', '--apparent-size', tree]).split('\t')[0]));
  writeFileSync(join(image, 'DEBIAN/control'), control(architecture, kilobytes));
  run('dpkg-deb', ['--root-owner-group', '-Zgzip', `-z${values.level}`, '--build', image, file]);
  return file;
}

function control(architecture, kilobytes) {
  return `Package: cmt
Version: ${version}
Architecture: ${architecture}
Maintainer: cmt <root@localhost>
Installed-Size: ${kilobytes}
Depends: libc6 (>= 2.28), libstdc++6, passwd
Recommends: criu (>= 4.2), runc (>= 1.3), rsync, nftables, iproute2, openssh-server
Suggests: redis-server
Section: admin
Priority: optional
Description: live migration of running containers with CRIU
 Moves a running container from one Linux host to another, with its memory, files,
 address and established TCP connections. Brings its own Node.
`;
}

function put(from, to, mode = 0o644) {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { dereference: true });
  chmodSync(to, mode);
}

function sourceDate() {
  if (process.env.SOURCE_DATE_EPOCH) return process.env.SOURCE_DATE_EPOCH;
  const { status, stdout } = spawnSync('git', ['-C', root, 'log', '-1', '--format=%ct'], {
    encoding: 'utf8',
  });
  // Outside a checkout: the first second that an archive can carry.
  return status === 0 ? stdout.trim() : '315532800';
}

function run(program, args) {
  const { status, stderr, error } = spawnSync(program, args, {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (status !== 0) throw new Error(`${program} ${args[0] ?? ''} failed: ${error?.message ?? stderr}`);
}

function output(program, args) {
  const { status, stdout, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} failed: ${error?.message ?? ''}`);
  return stdout;
}

function report(file) {
  const digest = createHash('sha256').update(readFileSync(file)).digest('hex');
  console.error(`${basename(file)}  ${(statSync(file).size / 1e6).toFixed(1)} MB  sha256 ${digest}`);
}
