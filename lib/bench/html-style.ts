/** The HTML report's style sheet. */
export const style = `:root {
  color-scheme: light dark;
  --page: #fbfbfa; --ink: #1d2024; --soft: #5c636b; --rule: #dcdfe2; --panel: #ffffff;
  --own: #2563c9; --peer: #8f979f; --good: #1c7c3c; --warn: #8f5b00; --bad: #b3261e; --tint: #dfe9f8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15181b; --ink: #e4e7ea; --soft: #9aa3ac; --rule: #31373d; --panel: #1c2024;
    --own: #6aa5ff; --peer: #77808a; --good: #5cc87f; --warn: #e0a93b; --bad: #ff7b72; --tint: #233a5c;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 16px; }
h2 { font-size: 19px; margin: 40px 0 8px; }
p { margin: 0 0 12px; max-width: 78ch; }
.host { display: flex; flex-wrap: wrap; gap: 8px 28px; margin: 0 0 20px; }
.host dt { color: var(--soft); font-size: 12px; }
.host dd { margin: 0; }
.verdict { font-weight: 600; margin: 0 0 6px; }
.good, .good-text { color: var(--good); }
.warn, .warn-text { color: var(--warn); }
.bad, .bad-text, .over { color: var(--bad); }
.note, .note td { color: var(--soft); font-size: 13px; }
.wide { overflow-x: auto; background: var(--panel); border: 1px solid var(--rule); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; font-weight: 400; padding: 5px 10px; white-space: nowrap; }
thead th { color: var(--soft); font-size: 13px; border-bottom: 1px solid var(--rule); }
.n { text-align: right; }
.none { color: var(--soft); }
tr.goal th { padding-top: 12px; border-top: 1px solid var(--rule); white-space: normal; }
tbody:first-of-type tr.goal th { border-top: 0; }
tr.note td { padding-top: 0; white-space: normal; }
.meter { display: inline-block; width: 80px; height: 8px; margin-right: 6px; background: var(--rule); border-radius: 4px; overflow: hidden; }
.meter i { display: block; height: 100%; background: currentColor; }
.lanes tbody tr + tr > * { border-top: 1px solid var(--rule); }
.lane { position: relative; }
.lane i { position: absolute; right: 12px; bottom: 0; height: 3px; background: var(--own); opacity: 0.7; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 14px; }
figure { margin: 0; padding: 10px 12px 4px; background: var(--panel); border: 1px solid var(--rule); border-radius: 8px; }
figcaption { font-size: 13px; line-height: 1.4; }
.own-text { color: var(--own); }
.peer-text { color: var(--soft); }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
.axis { stroke: var(--rule); }
path.own { fill: var(--own); fill-opacity: 0.6; }
path.peer { fill: var(--peer); fill-opacity: 0.6; }
.own-line { stroke: var(--own); stroke-width: 1.5; }
.peer-line { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 3 2; }
code { font: 0.92em ui-monospace, monospace; }
`;
