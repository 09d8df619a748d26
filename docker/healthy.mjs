/** For HEALTHCHECK: `node healthy.mjs PORT` ends well when `/healthz` there says that all is well. */
const answer = await fetch(`http://127.0.0.1:${process.argv[2]}/healthz`, {
  signal: AbortSignal.timeout(3000),
});
process.exit(answer.ok ? 0 : 1);
