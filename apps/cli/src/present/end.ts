/** How a migration ended, as the last words of the verbs that wait for it. */
import type { MigrationReport } from '@cmt/contracts';
import { ExitCode, exitCodeOfReport } from '../exit-codes.ts';
import { printJson, type Io } from '../io.ts';
import { errorObject, failureText } from './failure.ts';
import { blackoutText, outcomeText, predictionText } from './report.ts';

export function printEnd(report: MigrationReport, io: Io): void {
  const { failure, blackout } = report;
  const ok = exitCodeOfReport(report) === ExitCode.done;
  if (io.json) {
    printJson(io, ok, { migration: report, ...(failure ? { error: errorObject(failure) } : {}) });
    return;
  }
  if (failure) io.err(failureText(failure, io.errPaint));
  io.out(outcomeText(report, io.outPaint));
  if (blackout) io.out(`  blackout  ${blackoutText(blackout)}\n`);
  if (report.preCopy?.predicted)
    io.out(`  predicted ${predictionText(report.preCopy.predicted, blackout)}\n`);
}
