"""The plots of the page, drawn by matplotlib as SVG that takes its colours and its type from the page."""
