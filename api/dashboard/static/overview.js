"use strict";
// The chart on the overview. Its numbers come with the page, which refreshes them; nothing moves by itself.

const canvas = document.getElementById("chart");
const dark = matchMedia("(prefers-color-scheme: dark)");
let chart = null;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function draw() {
  const { slots, series } = JSON.parse(document.getElementById("timeline").dataset.timeline);
  const data = {
    labels: slots.map((slot) => slot.label),
    datasets: series.map(({ name, label, counts }) => ({ label, data: counts, backgroundColor: colour(name) })),
  };
  const axis = { stacked: true, grid: { color: colour("line") }, ticks: { color: colour("soft"), maxRotation: 0 } };
  const options = {
    animation: false,
    maintainAspectRatio: false,
    interaction: { mode: "index", intersect: false },
    scales: {
      x: { ...axis, grid: { display: false } },
      y: { ...axis, beginAtZero: true, ticks: { ...axis.ticks, precision: 0 } },
    },
    plugins: {
      legend: { position: "bottom", labels: { color: colour("ink"), boxWidth: 12 } },
      tooltip: { callbacks: { title: ([item]) => `from ${slots[item.dataIndex].title}` } },
    },
  };
  if (chart === null) {
    chart = new Chart(canvas, { type: "bar", data, options });
  } else {
    Object.assign(chart, { data, options });
    chart.update();
  }
}

draw();
dark.addEventListener("change", draw);
document.addEventListener("htmx:oobAfterSwap", (event) => {
  if (event.detail.target.id === "timeline") draw();
});
