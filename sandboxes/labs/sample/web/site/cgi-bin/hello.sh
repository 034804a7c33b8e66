#!/bin/sh
# httpd runs this for every question; QUERY_STRING is what stands behind the "?"
name=${QUERY_STRING#name=}
echo "Content-Type: text/plain"
echo
echo "Hello, ${name:-stranger}."
